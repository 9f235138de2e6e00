"""Accelerated preference optimisation: Nesterov's momentum over iterations. He et al. 2024, arXiv:2410.06293.

Not TRL's `apo_zero` and `apo_down`, which are anchored. The iterations are the epochs of a run; what an
iteration's end does to the weights, and how that is exact on an adapter: `personalization.training.parts`.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "accelerated",
    data="pairs",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2410.06293",
    trained="iterations",
)
def loss(
    policy: PairLogps,
    reference: PairLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    momentum: Annotated[float, Range(0.0, 0.9)] = 0.5,  # noqa: ARG001 - read by training.parts
) -> Tensor:
    """Learn an adapter from pairs: DPO over and over, each time from a little further than the last one came.

    DPO's loss, whose reference is the policy that the epoch began with; that is pi(t+1) in proportion to
    p(t+1) (p(t+1) / p(t))^momentum, p what the epochs ended with, taken on the weights: W + momentum (W -
    W'). The pairs are the person's own, the same in each epoch, where the paper draws new ones from the
    policy. Returns the loss of each pair, shape (batch,).
    """
    margin = (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)
    return -functional.logsigmoid(beta * margin)
