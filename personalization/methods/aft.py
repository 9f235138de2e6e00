"""Alignment fine-tuning with a boundary, for pairs. Wang et al. 2023, arXiv:2309.02144.

The paper's equations were read in secondary sources, hence no numbers of them; what the boundary does is
derived below and tested.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method("aft", data="pairs", produces="adapter", offered=False, paper="arXiv:2309.02144")
def loss(
    policy: PairLogps,
    _reference: PairLogps,
    *,
    boundary: Annotated[float, Range(0.05, 5.0)] = 0.5,
) -> Tensor:
    """Learn an adapter from pairs: the chosen answer above the rejected one, which may sink so far only.

    log(1 + e^(s(rejected) - s(chosen)) + e^(T - s(rejected))), s an answer's mean log-probability for each
    token and T = s(chosen) - 2 boundary, a constant. The pull on the rejected answer vanishes where both
    exponents are alike, `boundary` nats a token below the chosen one, and turns round further down. No
    reference. Returns the loss of each pair, shape (batch,).
    """
    chosen = policy.chosen / policy.chosen_tokens
    rejected = policy.rejected / policy.rejected_tokens
    floor = chosen.detach() - 2 * boundary
    return functional.softplus(torch.logaddexp(rejected - chosen, floor - rejected))
