"""Alignment fine-tuning with a boundary, for rankings. Wang et al. 2023, arXiv:2309.02144.

The paper's equations were read in secondary sources, hence no numbers of them; with two answers it is `aft`.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method("aft_ranking", data="ratings", produces="adapter", offered=False, paper="arXiv:2309.02144")
def loss(
    policy: AnswerLogps,
    _reference: AnswerLogps,
    *,
    boundary: Annotated[float, Range(0.05, 5.0)] = 0.5,
) -> Tensor:
    """Learn an adapter from ratings: better answers above worse ones, which may sink so far only.

    log(1 + sum over i better than j of (e^(s(j) - s(i)) + e^(T(j) - s(j)))), s an answer's mean
    log-probability for each token, T(j) the lowest s of those better than j minus 2 boundary, a constant.
    Answers that are rated alike are not compared. No reference. Returns the loss of each message, shape
    (groups,).
    """
    mean = policy.sums / policy.tokens
    # better[i, j]: answer i was rated above answer j of the same message
    better = (policy.group[:, None] == policy.group) & (policy.wanted[:, None] > policy.wanted)
    highest = mean.detach().max()
    lowest_above = torch.where(better, mean.detach()[:, None], highest).amin(dim=0)
    terms = torch.logaddexp(mean - mean[:, None], lowest_above - 2 * boundary - mean)
    own = [terms[better & (policy.group == group)] for group in policy.group.unique()]
    return torch.stack([functional.softplus(torch.logsumexp(some, dim=0)) for some in own])
