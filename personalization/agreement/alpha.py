"""Krippendorff's alpha: how far people agree beyond chance, whoever judged what.

Knows nothing of protocols. Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability":
alpha = 1 - D_o / D_e, over the values of things that two or more people judged.
Ordinal alpha is interval alpha of the midranks, because his ordinal difference of two values is the
difference of their midranks among all pairable values; so one formula of sums and squares serves both.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from personalization.agreement.judgements import Metric
from personalization.statistics import Estimate

Array = npt.NDArray[np.float64]

RESAMPLES = 1_000
BLOCK = 50  # resamples at a time: memory is units x BLOCK numbers
# Krippendorff's customary bounds: below the first no conclusion, from the second on a reliable one.
TENTATIVE, RELIABLE = 0.667, 0.8


@dataclass(frozen=True, slots=True)
class Alpha:
    """`estimate` is None where alpha is not defined, and `why` says in a sentence why not.

    `n` of the estimate counts the things that two or more people judged.
    """

    metric: Metric
    people: int
    values: int
    estimate: Estimate | None
    why: str = ""


def krippendorff(
    units: Mapping[Hashable, Mapping[str, float]],
    metric: Metric,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Alpha:
    """Return alpha of thing → person → value; a person who is missing there did not judge it.

    The interval resamples whole things (2.5 % and 97.5 %), not pairs of values as Krippendorff's own
    bootstrap does: values of one thing hang together. With fewer than two things it cannot be estimated and
    is (-inf, inf). Raises ValueError for a value that is not finite.
    """
    pairable = [values for values in units.values() if len(values) > 1]
    people = {person for values in pairable for person in values}
    if not pairable:
        why = "Nobody has judged the same as somebody else yet, so agreement cannot be measured."
        return Alpha(metric, 0, 0, None, why)
    table, scale = _table(pairable, metric)
    values = sum(len(one) for one in pairable)
    if len(scale) == 1:
        why = (
            f"All {values} values are the same: agreement is complete, but nothing was told apart, so "
            "alpha is not defined; add items on which people could differ."
        )
        return Alpha(metric, len(people), values, None, why)
    value = float(table.alpha(np.ones((1, len(pairable))))[0])
    low, high = _interval(table, len(pairable), seed, resamples)
    return Alpha(metric, len(people), values, Estimate(value, len(pairable), low, high))


@dataclass(frozen=True, slots=True)
class _Moments:
    """How many values each thing has, their sums and sums of squares, each (things,): the interval metric."""

    people: Array
    sums: Array
    squares: Array

    def alpha(self, weights: Array) -> Array:
        """Return alpha for each row of `weights` (resamples, things); NaN where nothing varies."""
        n, sums, squares = (weights @ of for of in (self.people, self.sums, self.squares))
        observed = weights @ (2 * (self.people * self.squares - self.sums**2) / (self.people - 1))
        return _alpha(observed, 2 * (n * squares - sums**2) / (n - 1), n)


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each value was given to each thing, (things, scale), the scale in order."""

    values: Array
    metric: Metric

    def alpha(self, weights: Array) -> Array:
        """Return alpha for each row of `weights` (resamples, things); NaN where nothing varies."""
        counts, people = self.values, self.values.sum(axis=1)
        total = weights @ counts  # (resamples, scale): how often each value occurs
        n = total.sum(axis=1)
        if self.metric == "nominal":
            unlike = (people**2 - (counts**2).sum(axis=1)) / (people - 1)
            return _alpha(weights @ unlike, (n**2 - (total**2).sum(axis=1)) / (n - 1), n)
        midranks = total.cumsum(axis=1) - total / 2 - n[:, None] / 2  # around 0: no digits are lost
        sums, squares = counts @ midranks.T, counts @ (midranks**2).T  # (things, resamples)
        unlike = 2 * (people[:, None] * squares - sums**2) / (people - 1)[:, None]
        expected = 2 * (n * (total * midranks**2).sum(axis=1) - (total * midranks).sum(axis=1) ** 2) / (n - 1)
        return _alpha((weights.T * unlike).sum(axis=0), expected, n)


def _alpha(observed: Array, expected: Array, n: Array) -> Array:
    # Differences of equal numbers leave rounding behind; nothing else is of this size.
    varies = expected > 1e-9 * n
    return np.where(varies, 1 - observed / np.where(varies, expected, 1.0), np.nan)


def _table(pairable: list[Mapping[str, float]], metric: Metric) -> tuple[_Counts | _Moments, Array]:
    """Return what alpha is computed from, and the different values."""
    given = np.array([value for values in pairable for value in values.values()], dtype=np.float64)
    if not np.isfinite(given).all():
        raise ValueError("A value that is not finite cannot be compared; leave it out as missing.")
    sizes = [len(values) for values in pairable]
    of = np.repeat(np.arange(len(pairable)), sizes)
    scale, place = np.unique(given, return_inverse=True)
    if metric == "interval":
        # Alpha does not depend on zero and size of the scale: around 0 and of size 1, no digits are lost.
        centred = (given - given.mean()) / (given.std() or 1.0)
        sums, squares = np.zeros(len(sizes)), np.zeros(len(sizes))
        np.add.at(sums, of, centred)
        np.add.at(squares, of, centred**2)
        return _Moments(np.array(sizes, dtype=np.float64), sums, squares), scale
    counts = np.zeros((len(pairable), len(scale)))
    np.add.at(counts, (of, place), 1.0)
    return _Counts(counts, metric), scale


def _interval(table: _Counts | _Moments, things: int, seed: int, resamples: int) -> tuple[float, float]:
    if things < 2:
        return -np.inf, np.inf
    rng, found = np.random.default_rng(seed), []
    for begin in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - begin)
        weights = rng.multinomial(things, np.full(things, 1 / things), size=size).astype(np.float64)
        found.append(table.alpha(weights))
    every = np.concatenate(found)
    every = every[np.isfinite(every)]
    if not len(every):
        return -np.inf, np.inf
    low, high = np.quantile(every, [0.025, 0.975])
    return float(low), float(high)
