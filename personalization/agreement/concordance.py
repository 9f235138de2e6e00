"""Kendall's W: how alike several people order the same candidates. 1: all alike; 1/m for m people by chance.

Knows nothing of where the orders come from: ranks and ratings both give one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from personalization.agreement.judgements import Judgement
from personalization.statistics import Estimate, clustered_mean

Array = npt.NDArray[np.float64]

ORDERED = ("rating", "steps", "ranking")
MIN_CANDIDATES = 3  # two candidates are a pair, which alpha tells better


@dataclass(frozen=True, slots=True)
class Concordance:
    """Mean W over items, each item one observation; `by_chance` is the mean of 1/m."""

    w: Estimate
    by_chance: float


def kendall_w(values: Sequence[Sequence[float]]) -> float | None:
    """Return W of people by candidates, corrected for ties (Kendall and Gibbons 1990, equation 6.10).

    W = 12 S / (m^2 (n^3 - n) - m T), T the sum of t^3 - t over each person's groups of t tied candidates.
    None where everybody ties all. Raises ValueError for fewer than two people or candidates.
    """
    ranks = np.array([rankdata(row) for row in values])
    if ranks.ndim != 2 or min(ranks.shape) < 2:
        raise ValueError(f"Two people and two candidates are the least; these are {ranks.shape}.")
    m, n = ranks.shape
    tied = sum(float((count**3 - count).sum()) for count in (_groups(row) for row in ranks))
    most = m * m * (n**3 - n) - m * tied
    if most <= 1e-9:
        return None
    sums = ranks.sum(axis=0)
    return float(12 * ((sums - sums.mean()) ** 2).sum() / most)


def concordance(judgements: Iterable[Judgement]) -> Concordance | None:
    """Return W over the items that two or more people ordered whole; None without any."""
    orders: dict[tuple[str, tuple[str, ...]], dict[str, list[float]]] = defaultdict(dict)
    for one in judgements:
        names = tuple(sorted(one.values))
        if len(names) >= MIN_CANDIDATES and not one.is_repeat and one.form in ORDERED:
            orders[one.item, names][one.person] = [one.values[name] for name in names]
    found = [
        (item, w, 1 / len(by_person))
        for (item, _names), by_person in orders.items()
        if len(by_person) > 1 and (w := kendall_w(list(by_person.values()))) is not None
    ]
    if not found:
        return None
    items, ws, chances = zip(*found, strict=True)
    return Concordance(clustered_mean(ws, items), sum(chances) / len(chances))


def _groups(ranks: Array) -> Array:
    return np.unique(ranks, return_counts=True)[1].astype(np.float64)
