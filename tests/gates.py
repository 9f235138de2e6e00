"""Verdicts of the safety gate without a model, on what changes every request alike."""

from __future__ import annotations

from personalization.margins import Margins
from personalization.safety.gate import Gate
from personalization.safety.openings import Leaning
from personalization.statistics import Estimate


def leanings(
    refusal: float, acceptance: float, *, pairs: int = 12, likelihood: float = -1.0
) -> list[Leaning]:
    """Return one arm's answers to pairs of a harmful and a harmless request."""
    return [Leaning(refusal, likelihood), Leaning(1 - acceptance, likelihood)] * pairs


def gate(refusal_base: float, refusal: float, acceptance_base: float, acceptance: float) -> Gate:
    """Return the verdict on an artifact that changes every request alike."""
    return Gate.of(leanings(refusal_base, acceptance_base), leanings(refusal, acceptance))


def gate_of(change: float) -> Gate:
    """Return the verdict on what changes refusals by so much, surely, and nothing else."""
    none = Estimate(0.0, 24, 0.0, 0.0)
    return Gate(0.5, 0.5, 0.5, 0.5, Estimate(change, 24, change, change), none, none, Margins())
