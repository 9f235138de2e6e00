"""Representational similarity analysis: whether two ways to look at things find the same ones unlike.

Kriegeskorte, Mur and Bandettini 2008, doi:10.3389/neuro.06.004.2008. Each way gives a dissimilarity of every
two things; what is compared is the order of the dissimilarities (Spearman), so that words, ratings and hidden
states need no common unit. Knows nothing of models or rows: numpy and scipy only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from personalization.statistics import Estimate, mean_of

Floats = npt.NDArray[np.float64]

RESAMPLES = 500
# Two dissimilarities are always in the same order or in the opposite one.
FEWEST_ENTRIES = 3
# Of five people drawn again, one sample in ten holds two of them or fewer, and so no order; of six, 2 %.
FEWEST_PEOPLE = 6
# Two answers have one dissimilarity, which has no order.
FEWEST_ANSWERS = 3
# With five, and four answers each, the interval is 1 wide on average: it would tell nobody anything.
FEWEST_CONVERSATIONS = 6
# Dissimilarities that differ by rounding alone are ties; ratings and cosines are never as close as this.
DECIMALS = 9


class Rated(Protocol):
    """The rated answers to one prompt: `personalization.steering.reward.RatedPrompt` is this.

    `states` is (answers, layers, hidden), with a score for each answer.
    """

    @property
    def conversation(self) -> str: ...
    @property
    def states(self) -> npt.NDArray[Any]: ...
    @property
    def scores(self) -> Sequence[float]: ...


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float | None:
    """Return Spearman's correlation of two vectors of dissimilarities, -1 to 1, ties in mid-ranks.

    None where one is constant or there are fewer than FEWEST_ENTRIES. Raises ValueError for two lengths.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"Dissimilarities of shapes {one.shape} and {other.shape} have no common order.")
    if len(one) < FEWEST_ENTRIES:
        return None
    found = float(_rank_correlations(np.stack([one, other], axis=1))[0, 1])
    return None if np.isnan(found) else found


def similarities(
    matrices: Mapping[str, npt.ArrayLike], *, seed: int = 0
) -> dict[tuple[str, str], Estimate | None]:
    """Return for each two names how alike their dissimilarities of the same people are ordered, -1 to 1.

    Each matrix is (people, people) and symmetric. The interval resamples people and leaves out the pairs of
    somebody drawn twice with themselves (Schuett et al. 2023, doi:10.7554/eLife.82566); with fewer than 20
    people it is rather too wide than too narrow. `n` counts people. None where a matrix is constant or there
    are fewer than FEWEST_PEOPLE. Raises ValueError for matrices that are not symmetric, hold what is no
    number, or are of different people.
    """
    names = list(matrices)
    pairs: dict[tuple[str, str], Estimate | None] = dict.fromkeys(combinations(names, 2))
    if not pairs:
        return pairs
    stacked = _stacked(matrices)
    people = stacked.shape[1]
    if people < FEWEST_PEOPLE:
        return pairs
    found = _rank_correlations(_entries(stacked, np.arange(people)))
    draws = np.random.default_rng(seed).integers(0, people, size=(RESAMPLES, people))
    drawn = np.stack([_rank_correlations(_entries(stacked, draw)) for draw in draws])
    for a, b in combinations(range(len(names)), 2):
        if not np.isnan(found[a, b]):
            low, high = np.nanquantile(drawn[:, a, b], [0.025, 0.975])
            pairs[names[a], names[b]] = Estimate(float(found[a, b]), people, float(low), float(high))
    return pairs


def similarity_to_states(prompts: Sequence[Rated]) -> Estimate | None:
    """Return how far answers that one person judges unlike are also unlike in the model's states, -1 to 1.

    Of each prompt with FEWEST_ANSWERS answers or more, not all rated alike, Spearman's correlation between
    the differences of two scores and 1 - cosine of the two states, which are centred within the prompt, each
    layer in units of its mean norm. Mean over conversations of their prompts' mean, so that one rated for
    longer counts once, with Student's interval: so few conversations resampled would give one that is too
    narrow. 0 is what scores at random give, and what a taste gives that is little of what differs between two
    answers: a reward may learn that one all the same. `n` counts conversations. None with fewer than
    FEWEST_CONVERSATIONS.
    """
    means = [fmean(found) for found in _by_conversation(prompts).values()]
    if len(means) < FEWEST_CONVERSATIONS:
        return None
    told = mean_of(len(means), fmean(means), fmean(mean * mean for mean in means))
    return Estimate(told.value, told.n, max(-1.0, told.low), min(1.0, told.high))


def missing_conversations(prompts: Sequence[Rated]) -> int:
    """Return in how many more conversations `similarity_to_states` needs such a prompt."""
    return max(0, FEWEST_CONVERSATIONS - len(_by_conversation(prompts)))


def _by_conversation(prompts: Sequence[Rated]) -> dict[str, list[float]]:
    """Return the correlations of each conversation's prompts, of those that have one."""
    usable = [p for p in prompts if len(p.scores) >= FEWEST_ANSWERS and len(set(p.scores)) > 1]
    found: dict[str, list[float]] = defaultdict(list)
    if not usable:
        return found
    norms = np.concatenate([np.linalg.norm(p.states, axis=2) for p in usable]).mean(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(norms, 1e-9)
    for prompt in usable:
        scores = np.asarray(prompt.scores, dtype=np.float64)
        upper = np.triu_indices(len(scores), 1)
        gaps = np.abs(scores[:, None] - scores)[upper].round(DECIMALS)
        unlike = _cosine_dissimilarities(prompt.states * scale[:, None])[upper]
        if (correlation := rank_correlation(gaps, unlike)) is not None:
            found[prompt.conversation].append(correlation)
    return found


def _cosine_dissimilarities(states: npt.NDArray[Any]) -> Floats:
    """Return 1 - cosine of every two answers, (answers, answers), 0 to 2, about the answers' mean.

    Without the mean, which what was asked makes large, every two answers would be nearly the same.
    """
    rows = states.reshape(len(states), -1).astype(np.float64)
    rows = rows - rows.mean(axis=0)
    units = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray((1 - units @ units.T).round(DECIMALS))


def _stacked(matrices: Mapping[str, npt.ArrayLike]) -> Floats:
    """Return the matrices as (names, people, people), once they are what they must be."""
    arrays = {name: np.asarray(matrix, dtype=np.float64) for name, matrix in matrices.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    square = all(len(shape) == 2 and shape[0] == shape[1] for shape in shapes.values())
    if not square or len(set(shapes.values())) > 1:
        raise ValueError(f"Matrices over the same people must be square and of one size: {shapes}.")
    if wrong := [name for name, array in arrays.items() if not np.allclose(array, array.T)]:
        raise ValueError(f"Not a symmetric matrix of numbers: {', '.join(wrong)}.")
    return np.stack(list(arrays.values()))


def _entries(stacked: Floats, drawn: npt.NDArray[np.int64]) -> Floats:
    """Return the dissimilarities of every two drawn people who are different ones, (pairs, names)."""
    first, second = (drawn[side] for side in np.triu_indices(len(drawn), 1))
    apart = first != second
    return np.asarray(stacked[:, first[apart], second[apart]].T)


def _rank_correlations(columns: Floats) -> Floats:
    """Return Spearman's correlation of every two columns; NaN where one is constant.

    `scipy.stats.spearmanr` is the same and spends most of its time on p values, which nobody reads here.
    """
    if len(columns) < FEWEST_ENTRIES:
        return np.full((columns.shape[1], columns.shape[1]), np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.corrcoef(rankdata(columns, axis=0), rowvar=False))
