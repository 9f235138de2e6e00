"""What each scale is called and what a low, average or high score means, in plain words.

Knows nothing of anybody's scores. The words are in `meaning.toml`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from personalization.inventory.scoring import Level

SOURCE = Path(__file__).with_name("meaning.toml")


@dataclass(frozen=True, slots=True)
class Meaning:
    """The words of one scale. `formal` is the research name where the label differs; `note` may be empty."""

    key: str
    label: str
    low: str
    average: str
    high: str
    formal: str = ""
    note: str = ""

    def of(self, level: Level | None) -> str:
        """Return the sentence for a level, or nothing when there is no score."""
        return {"low": self.low, "average": self.average, "high": self.high}[level] if level else ""


@cache
def meanings() -> dict[str, Meaning]:
    """Return the words of the 5 domains and 30 facets by key."""
    table = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    found = {}
    for domain, entry in table.items():
        found[domain] = _meaning(domain, entry)
        found.update({key: _meaning(key, facet) for key, facet in entry.items() if isinstance(facet, dict)})
    return found


def _meaning(key: str, entry: dict[str, str]) -> Meaning:
    words = {name: entry[name] for name in ("label", "low", "average", "high")}
    return Meaning(key, **words, formal=entry.get("formal", ""), note=entry.get("label_note", ""))
