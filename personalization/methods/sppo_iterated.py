"""Self-play preference optimisation over iterations. Wu et al. 2024, arXiv:2405.00675, algorithm 1."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "sppo_iterated",
    data="pairs",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2405.00675",
    trained="iterations",
)
def loss(
    policy: PairLogps, reference: PairLogps, *, beta: Annotated[float, Range(0.001, 1.0)] = 0.05
) -> Tensor:
    """Learn an adapter from pairs: SPPO over and over, each time from where the last one came.

    SPPO's hard loss, whose reference is the policy that the epoch began with (`training.parts`). The pairs
    are the person's own, the same in each epoch, where the paper draws new answers and has them
    ranked. Returns the loss of each pair, shape (batch,).
    """
    chosen, rejected = policy.chosen - reference.chosen, policy.rejected - reference.rejected
    return (beta * chosen - 0.5).square() + (beta * rejected + 0.5).square()
