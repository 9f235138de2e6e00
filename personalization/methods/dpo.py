"""Direct preference optimisation. Rafailov et al. 2023, arXiv:2305.18290, equation 7."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method("dpo", data="pairs", produces="adapter", needs_reference=True, paper="arXiv:2305.18290")
def loss(
    policy: PairLogps, reference: PairLogps, *, beta: Annotated[float, Range(0.01, 1.0)] = 0.1
) -> Tensor:
    """Learn an adapter from pairs: prefer the chosen answer, stay near the base model.

    -log sigmoid(beta * ((log p - log p_ref)(chosen) - (log p - log p_ref)(rejected))), log-probabilities
    summed over the answer's tokens. Returns the loss of each pair, shape (batch,).
    """
    margin = (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)
    return -functional.logsigmoid(beta * margin)
