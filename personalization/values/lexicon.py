"""The words and phrases that the measures of values count, from `lexicon.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from personalization.errors import UnknownName

SOURCE = Path(__file__).with_name("lexicon.toml")


@cache
def _table() -> dict[str, str]:
    return tomllib.loads(SOURCE.read_text(encoding="utf-8"))


@cache
def phrases(name: str) -> tuple[str, ...]:
    """Return a lexicon's phrases, the longest first so that they match before their parts."""
    if name not in _table():
        raise UnknownName("lexicon", name, _table())
    found = {phrase.strip() for phrase in _table()[name].split(",")}
    return tuple(sorted(found, key=lambda phrase: (-len(phrase), phrase)))
