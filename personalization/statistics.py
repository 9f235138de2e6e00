"""Intervals for the numbers that we show: shares, and means of values that come in clusters.

Knows nothing of models or people. All intervals are 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Z = 1.959963984540054  # the normal quantile of 97.5 %
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, how many observations it rests on, and its 95 % interval."""

    value: float
    n: int
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Return the fields, JSON-ready."""
        return {"value": self.value, "n": self.n, "low": self.low, "high": self.high}


def wilson(successes: float, n: int) -> Estimate:
    """Return a share with Wilson's score interval (Wilson 1927). Ties may count as half a success.

    `n` = 0 gives one half and the whole range. Raises ValueError when successes lie outside of [0, n].
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is impossible.")
    if n == 0:
        return Estimate(0.5, 0, 0.0, 1.0)
    share = successes / n
    return Estimate(share, n, *_wilson_bounds(share, n))


def win_rate(outcomes: Sequence[float]) -> Estimate:
    """Return the share of wins; each outcome is 1 (won), 0 (lost) or 0.5 (tie)."""
    return wilson(sum(outcomes), len(outcomes))


def clustered_share(values: Sequence[float], clusters: Sequence[Hashable]) -> Estimate:
    """Return a share of clustered outcomes (each 0, 0.5 or 1) with an interval that few clusters make wide.

    Korn and Graubard 1998 (Survey Methodology 24:193-201), with Wilson's interval: the effective number of
    observations is p(1-p) / v, v the variance of the share between clusters, times (z / t)^2 for the
    k - 1 degrees of freedom of k clusters. Where all outcomes are alike, v says nothing and the number
    of clusters counts. Two right answers from two conversations prove nothing by it. Raises ValueError
    when the lengths differ or nothing is given.
    """
    sums, counts = _by_cluster(values, clusters)
    n, k = len(values), len(counts)
    share = float(sums.sum() / n)
    if k < 2:
        return Estimate(share, n, 0.0, 1.0)
    residuals = sums - share * counts
    variance = k / (k - 1) * float((residuals**2).sum()) / n**2
    spread = share * (1 - share)
    effective = float(k) if spread == 0 else min(spread / variance, float(n)) if variance else float(n)
    effective *= (Z / float(stdtrit(k - 1, 0.975))) ** 2
    low, high = _wilson_bounds(share, effective)
    return Estimate(share, n, low, high)


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable], *, seed: int = 0) -> Estimate:
    """Return the mean of `values` with a percentile bootstrap that resamples whole clusters.

    Answers of one conversation are alike, so resampling single values would promise too much.
    `n` counts the values. With fewer than two clusters the interval cannot be estimated and is
    (-inf, inf). Raises ValueError when the lengths differ or nothing is given.
    """
    sums, counts = _by_cluster(values, clusters)
    k = len(counts)
    mean = float(sums.sum() / counts.sum())
    if k < 2:
        return Estimate(mean, len(values), -math.inf, math.inf)
    draws = np.random.default_rng(seed).integers(0, k, size=(RESAMPLES, k))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(mean, len(values), float(low), float(high))


def _by_cluster(
    values: Sequence[float], clusters: Sequence[Hashable]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each cluster's sum and count."""
    if len(values) != len(clusters) or not values:
        raise ValueError(f"{len(values)} values and {len(clusters)} clusters; both must be equal and not 0.")
    names = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    index = np.array([names[name] for name in clusters])
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    np.add.at(sums, index, np.asarray(values, dtype=np.float64))
    np.add.at(counts, index, 1.0)
    return sums, counts


def _wilson_bounds(share: float, n: float) -> tuple[float, float]:
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
