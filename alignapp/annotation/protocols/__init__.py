"""How one can ask: each file here holds one protocol, found by looking. A new one needs nothing else.

Knows nothing of projects: it is given a form's values, candidates and settings.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from alignapp.annotation.protocols.base import Given, Protocol, Unfit, field_name
from personalization.errors import AlignError

__all__ = ["Given", "Protocol", "Unfit", "UnknownProtocol", "field_name", "found", "get", "label"]


class UnknownProtocol(AlignError, LookupError):
    """No protocol has this name."""


@cache
def found() -> dict[str, Protocol]:
    """Return every protocol by its name, in the order of the page."""
    made = []
    for module in pkgutil.iter_modules(__path__):
        here = importlib.import_module(f"{__name__}.{module.name}")
        made += [
            one()
            for one in vars(here).values()
            if isinstance(one, type) and issubclass(one, Protocol) and one.__module__ == here.__name__
            if one is not Protocol
        ]
    return {one.name: one for one in sorted(made, key=lambda one: (one.order, one.name))}


def get(name: str) -> Protocol:
    """Return a protocol. Raises UnknownProtocol, with the nearest names."""
    try:
        return found()[name]
    except KeyError:
        near = difflib.get_close_matches(name, found(), n=3, cutoff=0.3) or list(found())
        raise UnknownProtocol(f"There is no protocol “{name}”. Near it: {', '.join(near)}.") from None


def label(name: str, attribute: str = "") -> str:
    """Return what people call a protocol; one that came with a file and is not ours keeps its own words."""
    one = found().get(name)
    words = one.label if one else name.replace("-", " ").capitalize()
    return f"{words} ({attribute})" if attribute else words
