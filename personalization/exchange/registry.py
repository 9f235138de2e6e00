"""The one list of formats: a format is one file in `personalization/formats` with its `FORMATS`.

Knows nothing of files: a reader takes rows as dictionaries, a writer gives them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from personalization.errors import AlignError, UnknownName
from personalization.exchange.neutral import Example, FormatError, Neutral, Participant


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of a record that this format cannot hold or that may not be written, and why."""

    reason: str
    count: int = 1


Written = Iterable[dict[str, Any] | LeftOut]
Reader = Callable[[Sequence[Mapping[str, Any]]], Iterable[Neutral]]


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `read` gets the rows that share `together` (one row without it), `write` the like.

    A writer of one example at a time gets a list of one; with `whole_conversations` it gets all examples of
    a conversation. Rows and examples that belong together follow each other.
    """

    name: str
    title: str
    columns: frozenset[str]  # by which it is recognised: all of them are there
    loses: str  # what of a record it cannot hold, as a sentence
    read: Reader | None = None
    write_examples: Callable[[Sequence[Example]], Written] | None = None
    write_participant: Callable[[Participant], Written] | None = None
    together: str = ""
    whole_conversations: bool = False
    suffix: Literal["jsonl", "json", "csv"] = "jsonl"
    licence: str = ""  # of the public data that comes like this; offered to who imports

    @property
    def writes(self) -> bool:
        """Whether records can be written in it."""
        return self.write_examples is not None or self.write_participant is not None


@cache
def _formats() -> dict[str, Format]:
    package = importlib.import_module("personalization.formats")
    found: dict[str, Format] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for one in importlib.import_module(f"{package.__name__}.{module.name}").FORMATS:
            if one.name in found:
                raise AlignError(f"Two files define the format {one.name!r}; give one of them another name.")
            found[one.name] = one
    return dict(sorted(found.items()))


def all_formats() -> tuple[Format, ...]:
    """Return every format, by name."""
    return tuple(_formats().values())


def get(name: str) -> Format:
    """Return the format of this name. Raises UnknownName with the nearest names."""
    if name not in _formats():
        raise UnknownName("format", name, _formats())
    return _formats()[name]


def recognise(row: Mapping[str, Any]) -> Format | None:
    """Return the format of a file's first row: that with most columns which can read it; else None."""
    fitting = [one for one in all_formats() if one.read and one.columns <= row.keys()]
    for one in sorted(fitting, key=lambda one: -len(one.columns)):
        try:
            if one.read and list(one.read([row])):
                return one
        except FormatError:
            continue
    return None
