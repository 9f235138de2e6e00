"""Condition contrastive alignment: "mine" told from "anybody's".

Chen et al. 2024, arXiv:2410.09347, equation 9 (there of images and their classes); a person's stated values
are the condition here, and an invented person's the wrong one.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "cca",
    data="contrasts",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2410.09347",
)
def loss(
    policy: PairLogps,
    reference: PairLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    weight: Annotated[float, Range(0.0, 10.0)] = 1.0,
) -> Tensor:
    """Learn an adapter from chosen answers: likelier under your stated values, not under anybody else's.

    -log sigmoid(beta d(mine)) - weight log sigmoid(-beta d(other)), d the change over the reference of the
    same answer's summed log-probability, under the person's own and under another's system message. Here
    `chosen` is the one and `rejected` the other. Returns the loss of each pair, shape (batch,).
    """
    mine, other = policy.chosen - reference.chosen, policy.rejected - reference.rejected
    return -functional.logsigmoid(beta * mine) - weight * functional.logsigmoid(-beta * other)
