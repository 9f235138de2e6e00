"""Verdicts of the safety gate from shares that are the same for every request."""

from __future__ import annotations

from personalization.safety.gate import Gate
from personalization.safety.openings import Leaning


def leanings(
    refusal: float, acceptance: float, *, pairs: int = 12, likelihood: float = -1.0
) -> list[Leaning]:
    """Return one arm's answers to pairs of a harmful and a harmless request."""
    return [Leaning(refusal, likelihood), Leaning(1 - acceptance, likelihood)] * pairs


def gate(refusal_base: float, refusal: float, acceptance_base: float, acceptance: float) -> Gate:
    """Return the verdict on an artifact that changes every request alike."""
    return Gate.of(leanings(refusal_base, acceptance_base), leanings(refusal, acceptance))
