"""What a disliked answer counts, so that answers are told apart by themselves and not by what was asked.

Underlying distribution matching (Jung et al. 2024, arXiv:2404.04656, section 4.2): if thumbs down come to
other messages than thumbs up, a classifier of answers learns the messages. Each disliked one weighs p / (1 -
p), p the probability that its message belongs to a liked answer. Knows nothing of losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from personalization.models.relevance import encoder

LEAST, MOST = 0.5, 10.0  # as in TRL
RIDGE = 1.0  # scikit-learn's logistic regression, C = 1, which the official code uses
STEPS = 20  # of Newton's method, which needs fewer


def matching_weights(messages: Sequence[str], liked: Sequence[bool]) -> list[float]:
    """Return each judgement's weight: 1 for liked ones, and for all where only one kind was given."""
    signs = torch.tensor(list(liked), dtype=torch.bool)
    if not len(signs) or signs.all() or not signs.any():
        return [1.0] * len(signs)
    share = probability_of_liked(encoder().encode(messages).double(), signs)
    weights = (share / (1 - share + 1e-8)).clamp(LEAST, MOST)
    return torch.where(signs, torch.ones_like(weights), weights).tolist()


def probability_of_liked(vectors: Tensor, liked: Tensor) -> Tensor:
    """Return each row's probability (n,) by logistic regression, both kinds weighed alike, ridge RIDGE.

    `vectors` is (n, width) in double precision; Newton's method in the space of the rows, the intercept is
    free.
    """
    count, up = len(liked), liked.double()
    balance = torch.where(liked, count / (2 * up.sum()), count / (2 * (count - up.sum())))
    kernel = vectors @ vectors.T  # the solution lies in the span of the rows
    weights, intercept = torch.zeros(count, dtype=torch.double), torch.zeros((), dtype=torch.double)
    for _ in range(STEPS):
        share = torch.sigmoid(kernel @ weights + intercept)
        curve = (balance * share * (1 - share)).clamp(min=1e-9)
        target = kernel @ weights + intercept + balance * (up - share) / curve
        # Weighted ridge regression of `target`: (K + RIDGE / curve) a + b = target, sum a = 0.
        system = functional.pad(kernel + torch.diag(RIDGE / curve), (0, 1, 0, 1), value=1.0)
        system[-1, -1] = 0.0
        solved = torch.linalg.solve(system, functional.pad(target, (0, 1)))
        weights, intercept = solved[:-1], solved[-1]
    return torch.sigmoid(kernel @ weights + intercept)
