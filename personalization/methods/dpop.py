"""DPO-positive (Smaug). Pal et al. 2024, arXiv:2402.13228, equation 3."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "dpop", data="pairs", produces="adapter", needs_reference=True, offered=False, paper="arXiv:2402.13228"
)
def loss(
    policy: PairLogps,
    reference: PairLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    anchor: Annotated[float, Range(0.0, 100.0)] = 5.0,
) -> Tensor:
    """Learn an adapter from pairs: as DPO does, but the chosen answer may not become less likely.

    -log sigmoid(beta (d(chosen) - d(rejected) - anchor max(0, -d(chosen)))), d the change of an answer's
    summed log-probability over the reference. Returns the loss of each pair, shape (batch,).
    """
    chosen, rejected = policy.chosen - reference.chosen, policy.rejected - reference.rejected
    return -functional.logsigmoid(beta * (chosen - rejected - anchor * functional.relu(-chosen)))
