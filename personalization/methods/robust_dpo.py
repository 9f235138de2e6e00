"""DPO for choices of which a known share is wrong. Chowdhury et al. 2024, arXiv:2403.00409, equation 12."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "robust_dpo",
    data="pairs",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2403.00409",
)
def loss(
    policy: PairLogps,
    reference: PairLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    flipped: Annotated[float, Range(0.0, 0.45)] = 0.1,
) -> Tensor:
    """Learn an adapter from pairs: as DPO does, but reckon with choices that were slips.

    ((1 - e) L(margin) - e L(-margin)) / (1 - 2 e), L the loss of DPO and e (`flipped`) the share of choices
    that are the wrong way round: unbiased, in the mean the loss of the right choices. It can be negative.
    Returns the loss of each pair, shape (batch,).
    """
    margin = beta * ((policy.chosen - reference.chosen) - (policy.rejected - reference.rejected))
    right, wrong = -functional.logsigmoid(margin), -functional.logsigmoid(-margin)
    return ((1 - flipped) * right - flipped * wrong) / (1 - 2 * flipped)
