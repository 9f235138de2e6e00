"""The taxonomy of values: four dimensions, their groups, and what each value says to a model.

Knows nothing of people or pages. The words are in `taxonomy.toml`; a key like `style.brief` is
stored with people and never changes its meaning. The shape follows Janus (arXiv:2405.17977).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from personalization.errors import UnknownName

SOURCE = Path(__file__).with_name("taxonomy.toml")


@dataclass(frozen=True, slots=True)
class Value:
    """Something a person may want from answers; `says` is its sentence for the system message."""

    key: str
    label: str
    says: str
    dimension: str
    group: str
    opposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Group:
    """Values that belong together."""

    key: str
    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of the four sides of an answer."""

    key: str
    label: str
    about: str
    groups: tuple[Group, ...]


@cache
def dimensions() -> tuple[Dimension, ...]:
    """Return the whole taxonomy in its order. Raises UnknownName if a value opposes an unknown key."""
    table = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    opposed = _both_ways(table)
    return tuple(
        Dimension(
            key,
            entry["label"],
            entry["about"],
            tuple(_group(key, name, group, opposed) for name, group in entry["groups"].items()),
        )
        for key, entry in table.items()
    )


@cache
def values() -> Mapping[str, Value]:
    """Return every value by its key, in the taxonomy's order."""
    every = [value for dimension in dimensions() for group in dimension.groups for value in group.values]
    return MappingProxyType({value.key: value for value in every})


def value_of(key: str) -> Value:
    """Return one value. Raises UnknownName with the nearest keys."""
    try:
        return values()[key]
    except KeyError:
        raise UnknownName("value", key, values()) from None


def _group(dimension: str, name: str, entry: Mapping[str, Any], opposed: Mapping[str, set[str]]) -> Group:
    key = f"{dimension}.{name}"
    found = []
    for value in entry["values"]:
        own = f"{dimension}.{value['key']}"
        found.append(Value(own, value["label"], value["says"], dimension, key, frozenset(opposed[own])))
    return Group(key, entry["label"], tuple(found))


def _both_ways(table: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return for each key the keys that oppose it, whichever of the two says so."""
    stated = {
        f"{dimension}.{value['key']}": value.get("opposes", [])
        for dimension, entry in table.items()
        for group in entry["groups"].values()
        for value in group["values"]
    }
    opposed: dict[str, set[str]] = {key: set() for key in stated}
    for key, others in stated.items():
        for other in others:
            if other not in opposed:
                raise UnknownName("value", other, opposed)
            opposed[key].add(other)
            opposed[other].add(key)
    return opposed
