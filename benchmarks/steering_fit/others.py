"""The same fit as others do it: PAlign's logistic regressions, and a ridge regression anew for each person.

Knows nothing of times. Activations are (items, 2, heads, width), answers 1 to 5, one for each item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

HEADS = 24


@dataclass(frozen=True, slots=True)
class Found:
    """The chosen heads, best first, and what is added to each: (k,) and (k, width)."""

    heads: list[int]
    added: Tensor


def palign(activations: Tensor, answers: Sequence[float], *, seed: int = 0) -> Found:
    """Fit as PAlign's code does (`PASLM.get_activations`): scikit-learn's default regression for each head.

    Items answered 3 are dropped; 60 % of the prompts train, a head's score is the mean of both parts'
    accuracies. Departure: the draw of the 60 % has a seed.
    """
    from sklearn.linear_model import LogisticRegression  # from requirements-bench.lock

    value = np.array(answers)
    used = np.flatnonzero(value != 3)
    rows = activations.numpy()[used].reshape(2 * len(used), *activations.shape[2:])
    labels = np.stack([value[used] > 3, value[used] < 3], axis=1).astype(int).flatten()
    order = np.random.default_rng(seed).permutation(len(labels))
    train, check = order[: int(0.6 * len(order))], order[int(0.6 * len(order)) :]
    scores = []
    for head in range(rows.shape[1]):
        probe = LogisticRegression(random_state=42, max_iter=1000).fit(rows[train, head], labels[train])
        both = [probe.score(rows[part, head], labels[part]) for part in (check, train)]
        scores.append(sum(both) / 2)
    best = np.argsort(scores)[::-1][:HEADS]
    added = []
    for head in best:
        apart = rows[labels == 1, head].mean(axis=0) - rows[labels == 0, head].mean(axis=0)
        unit = apart / np.linalg.norm(apart)
        added.append(torch.tensor(unit * (rows[:, head] @ unit).std()))
    return Found(best.tolist(), torch.stack(added))


def anew(activations: Tensor, answers: Sequence[float], *, ridge: float = 1.0) -> Found:
    """Fit as `pas` did before people shared anything: a ridge regression for each person and head."""
    target = (torch.tensor(list(answers), dtype=torch.float32) - 3) / 2
    target = target - target.mean()
    difference = (activations[:, 0] - activations[:, 1]).transpose(0, 1)  # (heads, items, width)
    centred = difference - difference.mean(dim=1, keepdim=True)
    gram = centred.mT @ centred
    penalty = ridge * gram.diagonal(dim1=1, dim2=2).mean(dim=1)
    inverse_times = torch.linalg.solve(gram + penalty[:, None, None] * torch.eye(gram.shape[1]), centred.mT)
    hat = centred @ inverse_times + 1 / len(target)
    error = ((target - hat @ target) / (1 - hat.diagonal(dim1=1, dim2=2))).square().sum(dim=1)
    best = error.argsort()[:HEADS]
    unit = torch.nn.functional.normalize((target[:, None] * difference[best]).mean(dim=1), dim=-1)
    along = torch.einsum("nphw,hw->hnp", activations[:, :, best], unit).flatten(1)
    return Found(best.tolist(), unit * along.std(dim=1)[:, None])
