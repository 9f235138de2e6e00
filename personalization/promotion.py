"""Choose which artifacts to promote so that at most a stated share of those chosen is wrong, over all people.

Conformal selection, Jin and Candes 2023, arXiv:2210.01408 (JMLR 24:244): each candidate's score is compared
with those of artifacts whose truth is known, which gives a p value for "this one does not help", and
Benjamini and Hochberg's procedure at level q then keeps the expected share of wrong ones among the chosen
(the false discovery rate) at or below q. Nothing is assumed of the scores but that candidates and known ones
are exchangeable: they come from people and amounts of feedback alike. Knows nothing of rows or models.

What a truth is, is the caller's: `benchmarks.adviser` takes "wins more than half of other fresh comparisons".
The score of `promoted` must be fixed before the known ones are looked at; `promoted_by_best` chooses among
several by them, which takes more (OptCS, Bai and Jin 2024, arXiv:2411.17983).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int_]
Scores = Sequence[Sequence[float]]  # of each artifact: one of each kind, the same kinds for all


def conformal_p_values(
    scores: Sequence[float], known: Sequence[float], is_good: Sequence[bool]
) -> list[float]:
    """Return for each candidate the p value of "it is not good"; higher scores speak for being good.

    p_j = (1 + the number of known bad ones that score at least as high) / (1 + the number of known ones):
    Jin and Candes' p value for their clipped score, V(x, y) = (infinite where y is good) - score(x), with
    ties counted against the candidate. It is never below 1 / (1 + len(known)), so few known ones select
    nothing. Raises ValueError where `known` and `is_good` differ in length.
    """
    bad = sorted(score for score, good in zip(known, is_good, strict=True) if not good)
    return [(1 + len(bad) - bisect_left(bad, score)) / (1 + len(known)) for score in scores]


def select(p_values: Sequence[float], level: float) -> list[int]:
    """Return which p values Benjamini and Hochberg's procedure (1995) rejects at `level`, by their places.

    The k smallest, with the largest k for which the k-th is at most level * k / n. Raises ValueError for a
    level outside of (0, 1) or a p value outside of [0, 1].
    """
    if not 0 < level < 1:
        raise ValueError(f"A level of {level} is impossible.")
    if wrong := [p for p in p_values if not 0 <= p <= 1]:
        raise ValueError(f"Not a p value: {wrong}.")
    ranked = sorted(p_values)
    n = len(ranked)
    most = max((k for k, p in enumerate(ranked, 1) if p <= level * k / n), default=0)
    return [i for i, p in enumerate(p_values) if most and p <= ranked[most - 1]]


def promoted(
    scores: Sequence[float], known: Sequence[float], is_good: Sequence[bool], *, level: float
) -> list[int]:
    """Return the candidates to promote, by their places; at most a share `level` is wrong on average."""
    return select(conformal_p_values(scores, known, is_good), level)


def promoted_by_best(scores: Scores, known: Scores, is_good: Sequence[bool], *, level: float) -> list[int]:
    """Return the candidates to promote by the kind of score that promotes most, by their places.

    At most a share `level` is wrong on average, although the kind is chosen by the same artifacts. For each
    candidate j the kind is chosen as if j were one more known bad artifact: the one by which most would be
    promoted with j among them; so is how many those are, n(j). Both are the same whichever of j and the known
    bad ones is called j, so that given them j's p value is as if the kind had been fixed. j stays where its p
    value is at most level n(j) / candidates; of those that stay the largest r are promoted for which at least
    r have n(j) at most r. That is OptCS for choosing a score, with its deterministic pruning (as of Jin and
    Candes 2023, arXiv:2307.09291); read in the abstract, derived here: E[wrong share] <= sum over bad j of
    P(p(j) <= level n(j) / m) / n(j) <= level. Of one kind it is `promoted`. Raises what that raises.
    """
    if len(known) != len(is_good):
        raise ValueError(f"{len(known)} known scores and {len(is_good)} truths.")
    if not scores:
        return []
    kinds = range(len(scores[0]))
    found = [_with_each([row[k] for row in scores], [row[k] for row in known], is_good, level) for k in kinds]
    sizes, p_values = (np.stack(rows) for rows in zip(*found, strict=True))  # (kinds, candidates)
    best = (sizes.argmax(axis=0), np.arange(len(scores)))
    size, p = sizes[best], p_values[best]
    stay = np.flatnonzero(p <= level * size / len(scores))
    ranks = np.arange(1, len(stay) + 1)
    most = int(ranks[np.sort(size[stay]) <= ranks].max(initial=0))
    return [int(j) for j in stay if size[j] <= most]


def _with_each(
    scores: Sequence[float], known: Sequence[float], is_good: Sequence[bool], level: float
) -> tuple[Counts, Array]:
    """Return how many would be promoted with each candidate, were it known, and bad; and its own p value.

    Both of shape (candidates,). With c(i) the known bad ones that score at least as high as i, others' p
    values are (c(i) + [s(i) <= s(j)]) / (1 + known), and j's own counts as 0. So those of at most m / (1 +
    known) are j and, of the others: for m < c(j) as many as have c <= m; for m > c(j) as many as have c < m;
    and for m = c(j) those, and who scores above j among those with as many. One sort does for all.
    """
    bad = np.sort([score for score, good in zip(known, is_good, strict=True) if not good])
    total, n, n_bad = 1 + len(known), len(scores), len(bad)
    above = n_bad - np.searchsorted(bad, scores)  # c
    up_to = np.cumsum(np.bincount(above, minlength=n_bad + 2))  # with c <= m, for m from 0 to n_bad + 1
    under = np.concatenate([[0], up_to[:-1]])  # with c < m
    m = np.arange(n_bad + 2)

    def kept(count: Counts, m: Counts) -> Counts:
        """Return the counts that Benjamini and Hochberg's procedure takes at this m, and 1 for the others."""
        return np.where(m / total <= level * count / n, count, 1)

    before = np.maximum.accumulate(kept(1 + up_to, m))
    after = np.maximum.accumulate(kept(np.maximum(under, 1), m)[::-1])[::-1]
    higher = n - np.searchsorted(np.sort(scores), scores, side="right")
    own = kept(1 + higher, above)
    least = np.where(above > 0, before[above - 1], 1)
    return np.maximum.reduce([least, own, after[above + 1]]), (1 + above) / total
