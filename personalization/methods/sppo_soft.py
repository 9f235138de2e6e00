"""Self-play preference optimisation with win probabilities. Wu et al. 2024, arXiv:2405.00675, algorithm 1.

The probabilities are the person's own ratings', where the paper asks a pair-ranking model.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "sppo_soft",
    data="ratings",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2405.00675",
)
def loss(
    policy: AnswerLogps,
    reference: AnswerLogps,
    *,
    beta: Annotated[float, Range(0.001, 1.0)] = 0.05,
    sharpness: Annotated[float, Range(0.1, 10.0)] = 1.5,
) -> Tensor:
    """Learn an adapter from ratings: the best answer of each message gains, the worst one loses, by how sure.

    1/2 sum over best and worst of (beta d(i) - (P(i) - 1/2))^2, d the change over the reference and P(i) =
    mean over all answers j of the message, i too, of sigmoid(sharpness (z(i) - z(j))), z the ratings in
    standard deviations of the person's. That is the official code's loss times beta^2 (see `sppo`). Returns
    the loss of each message, shape (groups,).
    """
    same = policy.group[:, None] == policy.group
    gap = policy.wanted[:, None] - policy.wanted
    wins = (functional.sigmoid(sharpness * gap) * same).sum(dim=1) / same.sum(dim=1)
    error = 0.5 * (beta * (policy.sums - reference.sums) - (wins - 0.5)).square()
    best = ((gap >= 0) | ~same).all(dim=1)
    worst = ((gap <= 0) | ~same).all(dim=1)
    # Of answers that are alike best, each counts in part.
    return policy.mean_of_groups(error, best) + policy.mean_of_groups(error, worst)
