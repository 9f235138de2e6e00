"""Intervals for the numbers that we show: shares, and means of values that come in clusters.

Knows nothing of models or people. All intervals are 95 %. `comparisons_needed` says how many comparisons
would show an effect, `holm` keeps several tests together honest. numpy and scipy are imported where they
are needed: the web reads stored estimates, and they would make its start half as long again.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Z = 1.959963984540054  # the normal quantile of 97.5 %
RESAMPLES = 2_000
FLIPS = 9_999
# More comparisons than this nobody rates.
MOST_FEASIBLE = 2_000
NORMAL = NormalDist()


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

    def as_json(self) -> dict[str, float | None]:
        """Return the fields with None for an infinite end, which JSON cannot hold."""
        return {name: value if math.isfinite(value) else None for name, value in self.as_dict().items()}

    @classmethod
    def of_json(cls, told: Mapping[str, float | None]) -> Estimate:
        """Return what `as_json` told."""
        low, high = told["low"], told["high"]
        return cls(
            value=float(told["value"] or 0.0),
            n=int(told["n"] or 0),
            low=-math.inf if low is None else low,
            high=math.inf if high is None else high,
        )


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
    from scipy.special import stdtrit

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
    import numpy as np

    sums, counts = _by_cluster(values, clusters)
    k = len(counts)
    mean = float(sums.sum() / counts.sum())
    if k < 2:
        return Estimate(mean, len(values), -math.inf, math.inf)
    draws = np.random.default_rng(seed).integers(0, k, size=(RESAMPLES, k))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(mean, len(values), float(low), float(high))


def mean_of(n: int, mean: float, mean_square: float) -> Estimate:
    """Return the mean of `n` independent values with Student's interval, from what any database counts.

    `mean_square` is the mean of the squared values. Of one value the interval cannot be estimated and is
    (-inf, inf). Raises ValueError where there is no value.
    """
    from scipy.special import stdtrit

    if n < 1:
        raise ValueError(f"{n} values have no mean.")
    if n < 2:
        return Estimate(mean, n, -math.inf, math.inf)
    error = math.sqrt(max(0.0, mean_square - mean * mean) / (n - 1))
    half = float(stdtrit(n - 1, 0.975)) * error
    return Estimate(mean, n, mean - half, mean + half)


def comparisons_needed(share: float, *, power: float = 0.8) -> float:
    """Return how many independent comparisons show a share to differ from one half, at 95 % confidence.

    The usual count for one share, Fleiss, Levin and Paik 2003, section 2.3: ((z_0.975 / 2 + z_power
    sqrt(p (1 - p))) / (p - 1/2))^2, without correction for continuity. `share` is what is believed to be
    true; taken from the same data it is a guess of the cost, not evidence. Infinite at one half. Raises
    ValueError for a share outside of [0, 1] or a power outside of (0, 1).
    """
    if not 0 <= share <= 1 or not 0 < power < 1:
        raise ValueError(f"A share of {share} with a power of {power} is impossible.")
    if share == 0.5:
        return math.inf
    spread = math.sqrt(share * (1 - share))
    return ((Z / 2 + NORMAL.inv_cdf(power) * spread) / (share - 0.5)) ** 2


def effective_count(estimate: Estimate) -> float:
    """Return how many independent comparisons a share's interval is worth, by Wilson's formula backwards.

    Comparisons of one conversation are alike, so this is at most about `n`. The whole range is worth 0.
    """
    half = (min(1.0, estimate.high) - max(0.0, estimate.low)) / 2
    if half >= 0.5:
        return 0.0
    if half <= 0:
        return float(estimate.n)
    a, b = half * half - 0.25, 2 * half * half - estimate.value * (1 - estimate.value)
    per_count = (-b - math.sqrt(b * b - 4 * a * half * half)) / (2 * a)
    return Z * Z / per_count


def more_comparisons(estimate: Estimate) -> int | None:
    """Return how many more comparisons would tell an observed share from one half; None: no feasible number.

    `comparisons_needed` with the observed share taken as true. Comparisons of one conversation are alike: as
    many more of the same kind are counted as are worth the independent ones that are missing.
    """
    worth = effective_count(estimate)
    if not worth:
        return None
    needed = comparisons_needed(estimate.value) * estimate.n / worth
    return max(1, math.ceil(needed - estimate.n)) if needed <= MOST_FEASIBLE else None


def p_value(estimate: Estimate, null: float = 0.0) -> float:
    """Return the two-sided p value of "it is `null`" that an interval implies, taken as a normal one.

    For asking several stored intervals together; 1 where the interval could not be estimated, or where all
    values were the same: a few alike values are no proof of anything.
    """
    width = estimate.high - estimate.low
    if not math.isfinite(width) or width <= 0:
        return 1.0
    distance = abs(estimate.value - null)
    return 2 * NORMAL.cdf(-distance / (width / (2 * Z)))


def share_p_value(estimate: Estimate) -> float:
    """Return the two-sided p value of "the share is one half", by the score test.

    Below 0.05 exactly where the share's Wilson interval, clustered or not, excludes one half.
    """
    z = abs(estimate.value - 0.5) * 2 * math.sqrt(effective_count(estimate))
    return 2 * NORMAL.cdf(-z)


def sign_flip_p_value(values: Sequence[float], clusters: Sequence[Hashable], *, seed: int = 0) -> float:
    """Return the two-sided p value of "the values are as often above 0 as below", by flipping whole clusters.

    Randomisation test: if nothing is there, each cluster's sum is as likely with the other sign. Few
    clusters give no small p value: k of them at best 2 / 2^k, and never less than 1 in 10,000. Raises
    ValueError when the lengths differ or nothing is given.
    """
    import numpy as np

    sums, _counts = _by_cluster(values, clusters)
    flips = np.random.default_rng(seed).choice((-1.0, 1.0), size=(FLIPS, len(sums)))
    extreme = np.abs(flips @ sums) >= abs(sums.sum()) * (1 - 1e-9)
    return float((1 + extreme.sum()) / (1 + FLIPS))


def best_agreement(consistency: float) -> float:
    """Return how often the best possible model agrees with one judgement of a person who repeats themselves.

    If both judgements are the true taste, each flipped with the same chance and on their own, two of them
    agree in c^2 + (1 - c)^2 of the cases, and knowing the taste agrees in c. One half below one half.
    Raises ValueError outside of [0, 1].
    """
    if not 0 <= consistency <= 1:
        raise ValueError(f"A consistency of {consistency} is impossible.")
    return (1 + math.sqrt(max(0.0, 2 * consistency - 1))) / 2


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p values adjusted for asking them together (Holm 1979, Scand. J. Statist. 6:65-70).

    The chance that any of those below 0.05 is a false alarm is then at most 5 %, however they depend on
    each other. Keeps the order of the names. Raises ValueError for a p value outside of [0, 1].
    """
    if wrong := {name: p for name, p in p_values.items() if not 0 <= p <= 1}:
        raise ValueError(f"Not a p value: {wrong}.")
    adjusted, least = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = least
    return {name: adjusted[name] for name in p_values}


def _by_cluster(
    values: Sequence[float], clusters: Sequence[Hashable]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each cluster's sum and count."""
    import numpy as np

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
