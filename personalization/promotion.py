"""Choose which artifacts to promote so that at most a stated share of those chosen is wrong, over all people.

Conformal selection, Jin and Candes 2023, arXiv:2210.01408 (JMLR 24:244): each candidate's score is compared
with those of artifacts whose truth is known, which gives a p value for "this one does not help", and
Benjamini and Hochberg's procedure at level q then keeps the expected share of wrong ones among the chosen
(the false discovery rate) at or below q. Nothing is assumed of the scores but that candidates and known ones
are exchangeable: they come from people and amounts of feedback alike. Knows nothing of rows or models.

What a truth is, is the caller's: `benchmarks.adviser` takes "wins more than half of other fresh comparisons".
The score must be fixed before the known ones are looked at; choosing it by them takes more (OptCS, Bai and
Jin 2024, arXiv:2411.17983) and is not done here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


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
