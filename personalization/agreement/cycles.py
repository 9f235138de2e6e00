"""Preferences that no order explains, A over B over C over A: a general preference model and its cycles.

Knows nothing of why. P(i beats j) = sigmoid(s_ij), s skew-symmetric: a strength for each maker as in Bradley
and Terry, and a rotation, s_ij = t_i - t_j + a_i b_j - b_i a_j. Departure from the general preference
model of Zhang et al. 2024, arXiv:2410.02197: one of its rotation blocks for each maker, not for each text,
and strengths beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from personalization.agreement.figures import Figure, Row, listed
from personalization.agreement.judgements import Judgement
from personalization.agreement.strengths import Wins, bradley_terry, wins
from personalization.statistics import Estimate

Array = npt.NDArray[np.float64]

RESAMPLES = 60
SIMULATED = 500
MOST_MAKERS = 12  # more rows than anybody reads, and a fit for each resample
PENALTY = 0.05  # of each squared parameter; a rotation must earn its place


@dataclass(frozen=True, slots=True)
class Cycles:
    """Cycles of majorities: each maker is preferred to the next, and the last to the first.

    `p`: how often a plain order would show a cycle as clear as the clearest of these; 1 without any.
    """

    found: tuple[tuple[str, str, str], ...]
    p: float


def general_preferences(total: Array, *, blocks: int = 1) -> Array:
    """Return P(row beats column), (makers, makers), of the general preference model fitted to win counts.

    Each block is a rotation; with (makers - 1) // 2 of them beside the strengths any table can be told.
    """
    makers = len(total)
    start = np.concatenate([bradley_terry(total), _rotation_start(total, blocks)])
    fitted = minimize(_loss, start, args=(total,), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(expit(_scores(fitted.x, makers)))


def cycles(counted: Wins, *, seed: int = 0) -> Cycles:
    """Find the cycles of three makers in the majorities of direct comparisons.

    `p` is a parametric bootstrap: comparisons drawn anew from the fitted Bradley-Terry strengths, which have
    no cycle. An item counts once for each two makers, however many people judged it: they tend to agree. A
    cycle is as clear as the weakest of its steps.
    """
    total = counted.once_an_item
    found = [(counted.makers[i], counted.makers[j], counted.makers[k]) for i, j, k in _turns(total)]
    if not found:
        return Cycles((), 1.0)
    games = np.round(total + total.T)
    strengths = bradley_terry(total)
    chance = expit(strengths[:, None] - strengths[None, :])
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.binomial(games.astype(int), chance, size=(SIMULATED, *games.shape)), 1)
    clear, as_clear = _clearest(total), 0
    for drawn in upper.astype(np.float64):
        as_clear += _clearest(drawn + np.tril(games - drawn.T, -1)) >= clear - 1e-9
    return Cycles(tuple(found), (1 + as_clear) / (1 + SIMULATED))


def preferences_figure(judgements: Sequence[Judgement], *, seed: int = 0) -> Figure:
    """Return how often each maker beats each other one, with the cycles in the sentence."""
    title, counted = "Who beats whom (general preference model)", wins(judgements)
    makers = counted.makers
    if len(makers) < 3:
        words = (
            "A cycle needs three makers and fewer have been compared; add answers of others to look for one."
        )
        return Figure("preferences", title, words, chance=0.5)
    if len(makers) > MOST_MAKERS:
        words = (
            f"{len(makers)} makers are too many to show each against each; compare at most "
            f"{MOST_MAKERS} of them."
        )
        return Figure("preferences", title, words, chance=0.5)
    games = counted.total + counted.total.T
    fitted = general_preferences(counted.total)
    drawn = np.array([general_preferences(one) for one in counted.resampled(RESAMPLES, seed)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    rows = []
    for i, j in combinations(range(len(makers)), 2):
        better, worse = (i, j) if fitted[i, j] >= 0.5 else (j, i)
        bounds = float(low[better, worse]), float(high[better, worse])
        estimate = Estimate(float(fitted[better, worse]), round(games[i, j]), *bounds)
        rows.append(Row(f"{makers[better]} over {makers[worse]}", estimate))
    return Figure("preferences", title, _words(cycles(counted, seed=seed)), tuple(rows), chance=0.5)


def _words(found: Cycles) -> str:
    if not found.found:
        return (
            "There is no cycle: one order of the makers explains who beats whom, and Bradley-Terry's "
            "strengths are enough."
        )
    names = [" > ".join((*one, one[0])) for one in found.found]
    if found.p < 0.05:
        return (
            f"{listed(names)}: more than chance makes of an order (p = {found.p:.3f}), so no single score "
            "ranks these makers; compare them two at a time, and look whether groups of people differ."
        )
    return (
        f"{listed(names)}: chance makes as much of a plain order (p = {found.p:.2f}), so read nothing "
        "into it and collect more."
    )


def _turns(total: Array) -> list[tuple[int, int, int]]:
    beats = total > total.T
    found = []
    for i, j, k in combinations(range(len(total)), 3):
        if beats[i, j] and beats[j, k] and beats[k, i]:
            found.append((i, j, k))
        elif beats[j, i] and beats[k, j] and beats[i, k]:
            found.append((i, k, j))
    return found


def _clearest(total: Array) -> float:
    """Return the z score against one half of the weakest step of the clearest cycle; 0 without any."""
    games = np.maximum(total + total.T, 1e-9)
    z = (total - total.T) / np.sqrt(games)
    return max((min(z[i, j], z[j, k], z[k, i]) for i, j, k in _turns(total)), default=0.0)


def _scores(parameters: Array, makers: int) -> Array:
    t, *turns = parameters.reshape(-1, makers)
    a, b = np.asarray(turns[0::2]), np.asarray(turns[1::2])
    return np.asarray(t[:, None] - t[None, :] + a.T @ b - b.T @ a)


def _loss(parameters: Array, total: Array) -> tuple[float, Array]:
    """Return the penalised negative log-likelihood and its gradient."""
    makers = len(total)
    _t, *turns = parameters.reshape(-1, makers)
    scores = _scores(parameters, makers)
    # Each game is in the table twice, as a win and as a loss of the other: the sum runs over wins only.
    loss = float((total * np.logaddexp(0.0, -scores)).sum()) + PENALTY * float((parameters**2).sum())
    slope = -total * expit(-scores)
    skew = slope - slope.T
    pairs = zip(turns[0::2], turns[1::2], strict=True)
    gradient = np.concatenate(
        [skew.sum(axis=1), *(part for a, b in pairs for part in (skew @ b, -(skew @ a)))]
    )
    return loss, gradient + 2 * PENALTY * parameters


def _rotation_start(total: Array, blocks: int) -> Array:
    """Return the strongest rotations in what strengths leave over: no rotation at all is a saddle.

    A skew-symmetric matrix with the eigenvector x + iy for im turns that plane by 2 m (x y' - y x').
    """
    games = total + total.T
    strengths = bradley_terry(total)
    rest = (total - games * expit(strengths[:, None] - strengths[None, :])) / np.maximum(games, 1.0)
    values, vectors = np.linalg.eig(rest - rest.T)
    found: list[Array] = []
    for one in np.argsort(-values.imag)[:blocks]:
        # Near one half a share of d above it is 4 d of log-odds; `rest - rest.T` has d twice.
        size = np.sqrt(max(4 * float(values[one].imag), 1e-6))
        found += [vectors[:, one].real * size, vectors[:, one].imag * size]
    return np.concatenate(found)
