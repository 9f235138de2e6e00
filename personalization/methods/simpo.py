"""Simple preference optimisation. Meng et al. 2024, arXiv:2405.14734, equation 6."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method("simpo", data="pairs", produces="adapter", offered=False, paper="arXiv:2405.14734")
def loss(
    policy: PairLogps,
    _reference: PairLogps,
    *,
    beta: Annotated[float, Range(0.1, 10.0)] = 2.0,
    margin: Annotated[float, Range(0.0, 10.0)] = 1.0,
) -> Tensor:
    """Learn an adapter from pairs: the chosen answer shall be likelier token by token, by a margin.

    -log sigmoid(beta (s(chosen) - s(rejected)) - margin), s an answer's mean log-probability for each token.
    No reference. Returns the loss of each pair, shape (batch,).
    """
    gap = policy.chosen / policy.chosen_tokens - policy.rejected / policy.rejected_tokens
    return -functional.logsigmoid(beta * gap - margin)
