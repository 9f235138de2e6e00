"""Verdicts of the safety gate without a model."""

from __future__ import annotations

from personalization.margins import Margins
from personalization.safety.gate import Gate
from personalization.statistics import Estimate


def gate_of(change: float) -> Gate:
    """Return the gate of something that changes refusals by so much, surely, and nothing else."""
    none = Estimate(0.0, 24, 0.0, 0.0)
    return Gate(0.5, 0.5, 0.5, 0.5, Estimate(change, 24, change, change), none, none, Margins())
