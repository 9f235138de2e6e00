"""Which of the chosen values pull in opposite directions.

Knows nothing of the composed message: contradictions are shown to the person before they are saved,
and never resolved behind their back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from personalization.values.composer import Chosen
from personalization.values.taxonomy import values


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two chosen values that oppose each other, and a sentence that says so."""

    first: str
    second: str
    sentence: str


def contradictions(chosen: Iterable[Chosen]) -> list[Contradiction]:
    """Return every opposed pair once, in the taxonomy's order; keys that are not in it are ignored."""
    known = values()
    weights = {choice.key: choice.importance for choice in chosen if choice.key in known}
    order = [key for key in known if key in weights]
    return [
        Contradiction(first, second, _sentence(first, second, weights))
        for i, first in enumerate(order)
        for second in order[i + 1 :]
        if second in known[first].opposes
    ]


def _sentence(first: str, second: str, weights: dict[str, int]) -> str:
    one, other = (f"“{values()[key].label}”" for key in (first, second))
    clash = f"{one} and {other} pull in opposite directions."
    if weights[first] == weights[second]:
        return f"{clash} They are equally important to you: drop one, or say which matters more."
    winner = one if weights[first] > weights[second] else other
    return (
        f"{clash} {winner} is more important to you and stands first; drop the other if it should not count."
    )
