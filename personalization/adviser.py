"""Which way of learning to advise somebody, from the feedback they gave and what benchmarks measured.

Knows nothing of rows, models or torch. The prior is a table of measured win rates by method and amount of
feedback; a person's own held-out result counts beside it, by how sure each is. Answers "nothing beats what
you have" unless something is likely enough to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from personalization.statistics import NORMAL, Estimate, Z

# How differently a method works for one person or another, as a standard deviation of win rates. Differences
# of two methods vary by 0.05 to 0.08 over the twelve people of `benchmarks.people`, a part of it by chance.
BETWEEN_PEOPLE = 0.05
# How likely something must be better before it is advised: a change costs the person's trust, too.
SURE = 0.8
# Less than this is not worth a job.
WORTH = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """What a benchmark found: `method` from `amount` pieces of `data` feedback, against the base model."""

    method: str
    data: str  # the kind of feedback, as the registry names it
    amount: int
    win_rate: Estimate
    seconds: float


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do; `method` None is "nothing beats what you have". `gain` is against what acts now."""

    method: str | None
    gain: float
    chance: float  # that it is better than what acts now
    reason: str


@dataclass(frozen=True, slots=True)
class _Belief:
    mean: float
    variance: float


def advise(
    feedback: Mapping[str, int],
    table: Sequence[Measured],
    *,
    current: str | None = None,
    own: Mapping[str, Estimate] | None = None,
    budget_seconds: float = math.inf,
) -> Advice:
    """Return the method that is likeliest to pay for somebody with so much `feedback` by kind.

    A method counts with the largest measured amount that the person reached; where they have less than any,
    nothing is known and it is not advised. `own` holds the person's own win rates from held-out feedback;
    `current` is what acts now (None: the base model, which wins one half against itself).
    """
    beliefs = {
        row.method: _believed(row, (own or {}).get(row.method))
        for row in _reached(feedback, table)
        if row.seconds <= budget_seconds or row.method == current
    }
    if not beliefs:
        return Advice(None, 0.0, 0.0, "Nothing was measured for so little feedback yet.")
    now = beliefs.pop(current, _Belief(0.5, 0.0)) if current else _Belief(0.5, 0.0)
    if current and not beliefs:
        return Advice(None, 0.0, 0.0, "Nothing else was measured for the feedback that you gave.")
    scored = sorted(((b.mean - now.mean, _chance(b, now), name) for name, b in beliefs.items()), reverse=True)
    gain, chance, name = scored[0]
    if chance < SURE or gain < WORTH:
        words = f"Nothing beats what you have: {name} comes nearest, better with a chance of {chance:.0%}."
        return Advice(None, gain, chance, words)
    words = f"{name}: {100 * gain:.0f} more wins in a hundred answers are expected; better with {chance:.0%}."
    return Advice(name, gain, chance, words)


def _reached(feedback: Mapping[str, int], table: Sequence[Measured]) -> list[Measured]:
    """Return each method's row with the largest amount that the person reached."""
    found: dict[str, Measured] = {}
    for row in table:
        if row.amount <= feedback.get(row.data, 0):
            best = found.get(row.method)
            found[row.method] = row if best is None or row.amount > best.amount else best
    return list(found.values())


def _believed(row: Measured, own: Estimate | None) -> _Belief:
    """Combine what was measured on others with the person's own result, weighted by precision."""
    prior = _variance(row.win_rate) + BETWEEN_PEOPLE**2
    if own is None or own.n == 0:
        return _Belief(row.win_rate.value, prior)
    theirs = max(_variance(own), 1e-6)
    weight = prior / (prior + theirs)
    mean = (1 - weight) * row.win_rate.value + weight * own.value
    return _Belief(mean, prior * theirs / (prior + theirs))


def _variance(estimate: Estimate) -> float:
    return ((estimate.high - estimate.low) / (2 * Z)) ** 2


def _chance(one: _Belief, other: _Belief) -> float:
    """Return the chance that one is better, both taken as normal and as independent."""
    spread = math.sqrt(one.variance + other.variance)
    if spread == 0:
        return float(one.mean > other.mean)
    return NORMAL.cdf((one.mean - other.mean) / spread)
