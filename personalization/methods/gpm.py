"""Optimisation against a general preference model. Zhang et al. 2024, arXiv:2410.02197, section 5.

The model is fitted to each message's comparisons (`personalization.training.examples`), which need not be
those of any order.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "gpm",
    data="choices",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2410.02197",
)
def loss(
    policy: AnswerLogps, reference: AnswerLogps, *, beta: Annotated[float, Range(0.001, 1.0)] = 0.05
) -> Tensor:
    """Learn an adapter from comparisons that may run in circles: each answer gains by how often it wins.

    mean over a message's answers of (beta d(i) - (P(i) - 1/2))^2, d the change of its summed log-probability
    over the reference and P(i) = mean over the others j of P(i beats j) by the general preference model;
    `wanted` is 2 P - 1. Answers that beat each other in a circle stay as they are: no order of them would
    be right. The paper's loss with 1 / beta for eta, times beta^2 (see `sppo`). Returns the loss of each
    message, shape (groups,).
    """
    error = (beta * (policy.sums - reference.sums) - policy.wanted / 2).square()
    return policy.mean_of_groups(error, torch.ones_like(error, dtype=torch.bool))
