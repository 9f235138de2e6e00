"""Identity preference optimisation. Azar et al. 2023, arXiv:2310.12036, equation 17."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "ipo", data="pairs", produces="adapter", needs_reference=True, offered=False, paper="arXiv:2310.12036"
)
def loss(
    policy: PairLogps, reference: PairLogps, *, beta: Annotated[float, Range(0.05, 10.0)] = 1.0
) -> Tensor:
    """Learn an adapter from pairs: prefer the chosen answer by a fixed margin and no further.

    (d(chosen) - d(rejected) - 1 / (2 beta))^2, d the change of an answer's log-probability over the
    reference. Departure from the paper, as in TRL: d is a mean over the answer's tokens and not their sum,
    so that long answers do not weigh more. Returns the loss of each pair, shape (batch,).
    """
    chosen = (policy.chosen - reference.chosen) / policy.chosen_tokens
    rejected = (policy.rejected - reference.rejected) / policy.rejected_tokens
    return (chosen - rejected - 1 / (2 * beta)).square()
