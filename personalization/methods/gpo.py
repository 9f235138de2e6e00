"""Generalised preference optimisation. Tang et al. 2024, arXiv:2402.05749, equation 4 and table 1.

Its logistic member is `dpo`, its squared one `ipo`; here are those that stop where a margin is reached.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "gpo", data="pairs", produces="adapter", needs_reference=True, offered=False, paper="arXiv:2402.05749"
)
def loss(
    policy: PairLogps,
    reference: PairLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    power: Annotated[float, Range(1.0, 4.0)] = 2.0,
) -> Tensor:
    """Learn an adapter from pairs: prefer the chosen answer up to a margin, then leave the pair alone.

    f(beta (d(chosen) - d(rejected))), d the change over the reference, with the convex f(x) =
    max(0, 1 - x)^power: at power 1 the hinge (SLiC-HF, Zhao et al. 2023, arXiv:2305.10425), at 2 the
    truncated quadratic; those between them are ours. Returns the loss of each pair, shape (batch,).
    """
    margin = (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)
    short = (1 - beta * margin).clamp(min=0)
    return short**power
