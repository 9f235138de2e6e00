"""Self-play preference optimisation, hard form. Wu et al. 2024, arXiv:2405.00675, equation 4.7."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "sppo", data="pairs", produces="adapter", needs_reference=True, offered=False, paper="arXiv:2405.00675"
)
def loss(
    policy: PairLogps, reference: PairLogps, *, beta: Annotated[float, Range(0.001, 1.0)] = 0.05
) -> Tensor:
    """Learn an adapter from pairs: the chosen answer gains a fixed number of nats, the rejected one loses it.

    (beta d(chosen) - 1/2)^2 + (beta d(rejected) + 1/2)^2, d the change over the reference: the paper's loss
    with 1 / beta for eta, times beta^2, so that it weighs against what else is asked of an adapter whatever
    beta is. The reference is the base model: one iteration. Returns each pair's loss, shape (batch,).
    """
    chosen, rejected = policy.chosen - reference.chosen, policy.rejected - reference.rejected
    return (beta * chosen - 0.5).square() + (beta * rejected + 0.5).square()
