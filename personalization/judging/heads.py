"""How a linear head is learned from several people's comparisons: Bradley-Terry, and MORE over people.

Knows nothing of models and of how much to restrain a head: each way returns a path of heads, from the most to
the least restrained. Rows are those of `Comparisons`; people count alike.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from personalization.judging.comparisons import Comparisons
from personalization.steering.reward import Floats

# In units of features whose differences have a mean squared norm of 1.
RIDGES = tuple(float(ridge) for ridge in np.geomspace(1.0, 1e-3, 7))
STEPS = (1, 2, 5, 10, 20, 50, 100)
FRANK_WOLFE_STEPS = 200

Way = Callable[[Comparisons], list[Floats]]


def bradley_terry(said: Comparisons) -> list[Floats]:
    """Return the head (features,) of each of RIDGES: the likeliest under log-odds that are a linear reward.

    Bradley and Terry 1952 (Biometrika 39:324-345), as reward models are trained (Ouyang et al. 2022,
    arXiv:2203.02155, eq. 1): the mean over people of -log sigmoid(r(chosen) - r(rejected)), plus
    ridge / 2 |w|^2. The base model stays as it is.
    """
    rows, shares = said.differences, said.shares

    def loss(head: Floats, ridge: float) -> tuple[float, Floats]:
        margins = rows @ head
        value = float(shares @ np.logaddexp(0.0, -margins)) + ridge / 2 * float(head @ head)
        return value, ridge * head - rows.T @ (shares * expit(-margins))

    heads, head = [], np.zeros(rows.shape[1])
    for ridge in RIDGES:  # each begins where the one before it ended
        head = minimize(loss, head, args=(ridge,), jac=True, method="L-BFGS-B").x
        heads.append(head)
    return heads


def more(said: Comparisons) -> list[Floats]:
    """Return the head (features,) after each of STEPS: what no person loses by.

    MORE, Zeng et al. 2023 (arXiv:2312.07401; written from the authors' code, github.com/dunzeng/MORE, whose
    tasks are data sets), with people as tasks: each step descends sum_i lambda_i L_i, L_i person i's
    Bradley-Terry loss, lambda the point of the simplex at which the sum of the people's unit gradients of the
    head is shortest (Frank-Wolfe). Where people want opposite things the gradients cancel, and it stops.

    Departs from the paper: only the head is learned, of all comparisons at once instead of batches, so that
    no running mean of gradients is needed; the length of a step is 1 / L, L the weighted loss' smoothness.
    """
    rows, starts = said.differences, said.starts
    counts = np.diff([*starts, len(said)])
    smooth = np.asarray(
        [np.linalg.norm(rows[i : i + n], 2) ** 2 / (4 * n) for i, n in zip(starts, counts, strict=True)]
    )
    heads, head = [], np.zeros(rows.shape[1])
    for step in range(1, STEPS[-1] + 1):
        pulls = -expit(-(rows @ head))[:, None] * rows
        gradients = np.add.reduceat(pulls, starts, axis=0) / counts[:, None]
        weights = shortest(gradients)
        head = head - weights @ gradients / max(float(weights @ smooth), 1e-12)
        if step in STEPS:
            heads.append(head)
    return heads


def shortest(gradients: Floats) -> Floats:
    """Return the weights, 0 or more and 1 in all, under which the unit gradients' sum is the shortest.

    Gradients (people, features). Frank and Wolfe with the exact step, as Sener and Koltun 2018
    (arXiv:1810.04650, algorithm 2).
    """
    unit = gradients / np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True), 1e-12)
    gram = unit @ unit.T
    weights = np.full(len(gram), 1.0 / len(gram))
    towards = gram @ weights
    for _ in range(FRANK_WOLFE_STEPS):
        best = int(np.argmin(towards))
        squared, along, end = float(weights @ towards), float(towards[best]), float(gram[best, best])
        curve = squared - 2 * along + end
        if squared - along <= 1e-6 or curve <= 1e-12:
            break
        step = min(1.0, (squared - along) / curve)
        weights = (1 - step) * weights
        weights[best] += step
        towards = (1 - step) * towards + step * gram[best]
    return weights
