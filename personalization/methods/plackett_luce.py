"""Preference optimisation from rankings: DPO's reward in the model of Plackett and Luce.

Rafailov et al. 2023, arXiv:2305.18290, equation 20 (appendix A.3); Plackett 1975, doi:10.2307/2346567.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "plackett_luce",
    data="ratings",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2305.18290",
)
def loss(
    policy: AnswerLogps, reference: AnswerLogps, *, beta: Annotated[float, Range(0.01, 1.0)] = 0.1
) -> Tensor:
    """Learn an adapter from ratings: each answer shall be picked before all those rated below it.

    -sum over i of (r(i) - log sum over j not better than i of e^r(j)), r = beta times the change of an
    answer's summed log-probability over the reference. Answers rated alike stand in each other's sums
    (Breslow), and the worst ones are picked before nobody. With two answers it is DPO. Returns the loss of
    each message, shape (groups,).
    """
    reward = beta * (policy.sums - reference.sums)
    same = policy.group[:, None] == policy.group
    gap = policy.wanted[:, None] - policy.wanted
    left = same & (gap >= 0)  # left[i, j]: j is still there when i is picked
    picked = (same & (gap > 0)).any(dim=1)
    sums = torch.where(left, reward, -torch.inf).logsumexp(dim=1)
    return policy.sum_of_groups(sums - reward, picked)
