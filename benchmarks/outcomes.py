"""Wins and differences over simulated people, for every benchmark whose cells are of a person and a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from personalization.statistics import Estimate, clustered_mean


class Outcome(Protocol):
    """What a cell must know: whose it is, and 1, 0.5 or 0 for each fresh prompt."""

    @property
    def person(self) -> str: ...

    @property
    def wins(self) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class ArmCell:
    """One arm for one person and seed after some rated prompts, on answers to fresh prompts."""

    person: str
    seed: int
    prompts: int
    arm: str
    wins: list[float]  # 1, 0.5 or 0 for each fresh prompt, against the base model's answer
    relevance: float  # mean cosine with the prompt
    base_relevance: float

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What tells cells apart."""
        return self.person, self.seed, self.prompts, self.arm


def over_people(values: Sequence[tuple[float, str]]) -> Estimate:
    """Return the mean of (value, person) pairs.

    People are what a sceptic asks about, so whole people are resampled, with all their prompts and seeds.
    """
    return clustered_mean([value for value, _ in values], [person for _, person in values])


def won(cells: Sequence[Outcome]) -> dict[str, Any]:
    """Return the win rate with its interval, JSON-ready, and of how many comparisons and people."""
    estimate = over_people([(win, cell.person) for cell in cells for win in cell.wins])
    return {
        "win_rate": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "people": len({cell.person for cell in cells}),
    }


def gain(rates: dict[tuple[str, str, int], float], arm: str, other: str) -> Estimate | None:
    """Return how much more an arm wins than the other, each person and seed compared with themselves.

    `rates` are win rates by (arm, person, seed); None where nobody has both.
    """
    gains = [
        (rate - rates[other, person, seed], person)
        for (name, person, seed), rate in rates.items()
        if name == arm and (other, person, seed) in rates
    ]
    return over_people(gains) if gains else None


def in_words(row: Mapping[str, Any], form: str = ".2f") -> str:
    """Return an estimate's value and interval for a page; `form` "+.2f" shows the sign of a difference."""
    return f"{row['value']:{form}} [{row['low']:{form}}, {row['high']:{form}}]"


def mean(values: Sequence[float]) -> float:
    """Return the plain mean of at least one value."""
    return sum(values) / len(values)
