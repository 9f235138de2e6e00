"""Which maker's answers are preferred: Bradley and Terry's strengths, with intervals, from all comparisons.

Knows nothing of people. Bradley and Terry 1952: P(i beats j) = 1 / (1 + exp(s_j - s_i)); a tie is half a win
for each. A win rate depends on whom somebody met; a strength does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from personalization.agreement.figures import Figure, Row, percent
from personalization.agreement.judgements import Judgement, comparisons
from personalization.statistics import Estimate

Array = npt.NDArray[np.float64]

RESAMPLES = 500
STEPS, ENOUGH = 50, 1e-9
# A maker who always won would be infinitely strong: each two makers get this many tied comparisons for free.
PRIOR_TIES = 0.1


@dataclass(frozen=True, slots=True)
class Wins:
    """How often each maker was preferred to each: `by_item` is (items, makers, makers), row over column."""

    makers: tuple[str, ...]
    by_item: Array

    @property
    def total(self) -> Array:
        """All items together, (makers, makers)."""
        return np.asarray(self.by_item.sum(axis=0))

    @property
    def once_an_item(self) -> Array:
        """All items together, each of which counts as one comparison of two makers, (makers, makers)."""
        games = self.by_item + np.swapaxes(self.by_item, 1, 2)
        return np.asarray((self.by_item / np.maximum(games, 1.0)).sum(axis=0))

    @property
    def connected(self) -> bool:
        """Say whether everybody was compared with everybody, directly or through others."""
        return int(connected_components(self.total + self.total.T, directed=False)[0]) == 1

    def resampled(self, count: int, seed: int) -> Array:
        """Return the totals of `count` bootstrap samples of whole items, (count, makers, makers)."""
        items = len(self.by_item)
        weights = np.random.default_rng(seed).multinomial(items, np.full(items, 1 / items), size=count)
        flat = weights.astype(np.float64) @ self.by_item.reshape(items, -1)
        return np.asarray(flat.reshape(count, len(self.makers), len(self.makers)))


def wins(judgements: Sequence[Judgement]) -> Wins:
    """Count comparisons of different makers. Repeats are left out; a tie is half a win for each."""
    found = []
    for one in comparisons(judgements):
        makers = one.judgement.makers
        first, second = makers.get(one.first, ""), makers.get(one.second, "")
        if first and second and first != second:
            found.append((one.judgement.item, first, second, (one.preferred + 1) / 2))
    names = sorted({maker for _, first, second, _ in found for maker in (first, second)})
    place = {name: i for i, name in enumerate(names)}
    items = {item: i for i, item in enumerate(dict.fromkeys(item for item, *_ in found))}
    table = np.zeros((len(items), len(names), len(names)))
    for item, first, second, score in found:
        table[items[item], place[first], place[second]] += score
        table[items[item], place[second], place[first]] += 1 - score
    return Wins(tuple(names), table)


def bradley_terry(total: Array) -> Array:
    """Return strengths in log-odds with mean 0, (..., makers), for win counts (..., makers, makers).

    Newton's method on the penalised likelihood, all samples at once.
    """
    makers = total.shape[-1]
    total = total + PRIOR_TIES / 2 * (1 - np.eye(makers))
    games = total + np.swapaxes(total, -1, -2)
    strengths = np.zeros(total.shape[:-1])
    for _step in range(STEPS):
        expected = games * expit(strengths[..., :, None] - strengths[..., None, :])
        gradient = (total - expected).sum(axis=-1)
        weight = expected * (1 - expit(strengths[..., :, None] - strengths[..., None, :]))
        # The sum of strengths is free; 1/n everywhere fixes it at 0 without touching the rest.
        hessian = np.eye(makers) * weight.sum(axis=-1)[..., None] - weight + 1 / makers
        move = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        strengths = strengths + np.clip(move, -2.0, 2.0)
        if np.abs(move).max(initial=0.0) < ENOUGH:
            break
    return np.asarray(strengths - strengths.mean(axis=-1, keepdims=True))


def strengths_figure(judgements: Sequence[Judgement], *, seed: int = 0) -> Figure:
    """Return each maker's chance against the average one, sigmoid of its strength, the best first."""
    title, counted = "Whose answers are preferred (Bradley-Terry)", wins(judgements)
    if len(counted.makers) < 2:
        words = (
            "No answers of two makers have been compared yet, or it is not known who wrote them; say it with "
            "the answers to see whose are preferred."
        )
        return Figure("strengths", title, words, chance=0.5)
    chances = expit(bradley_terry(counted.total))
    drawn = expit(bradley_terry(counted.resampled(RESAMPLES, seed)))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    games = (counted.total + counted.total.T).sum(axis=1)
    rows = [
        Row(name, Estimate(float(chances[i]), round(games[i]), float(low[i]), float(high[i])))
        for i, name in enumerate(counted.makers)
    ]
    rows.sort(key=lambda row: -row.estimate.value)
    return Figure("strengths", title, _words(rows, counted), tuple(rows), chance=0.5)


def _words(rows: Sequence[Row], counted: Wins) -> str:
    if not counted.connected:
        return (
            "Some makers were never compared with the rest, even through others, so strengths are only "
            "right within each group; compare across."
        )
    best, second = rows[0], rows[1]
    lead = f"{best.label} would win against the average maker in {percent(best.estimate)}"
    if best.estimate.low > second.estimate.high:
        return (
            f"{lead}, clearly ahead of {second.label}; use its answers where one model must serve everybody."
        )
    return (
        f"{lead}, but not clearly ahead of {second.label}; collect more comparisons of these two before "
        "you choose."
    )
