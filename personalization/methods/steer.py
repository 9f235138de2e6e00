"""A steering vector from a person's ratings, in closed form.

The mean-difference vector of contrastive activation addition (Rimsky et al. 2023, arXiv:2312.06681)
with the rating in place of the two classes: for each layer

    v = sum_i z_i (h_i - mean of h over the answers to the same prompt) / sum_i |z_i|

h_i is the mean hidden state over answer i's tokens, z_i its rating, centred within the prompt and
divided by the person's spread. The weighting is ours. No gradient step and no second model; with two
answers to each prompt it is the plain mean difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from personalization.registry import Range, method


@method("steer", data="ratings", produces="vector", paper="arXiv:2312.06681")
def directions(
    states: Tensor,
    scores: Sequence[float],
    groups: Sequence[int],
    *,
    max_strength: Annotated[float, Range(0.02, 0.2)] = 0.12,  # noqa: ARG001 - read by steering.learn
) -> Tensor:
    """Learn a vector from ratings: move the answer's hidden states towards those of well-rated answers.

    `states` is (answers, layers, hidden); `groups` says which prompt an answer belongs to. Returns unit
    vectors (layers, hidden); zeros where all ratings of every prompt are alike. `max_strength` bounds
    the norm in each layer that acts, as a share of its hidden norm; `personalization.steering.learn` chooses.
    """
    group = torch.tensor(list(groups))
    weights = _centred(torch.tensor(list(scores), dtype=torch.float32)[:, None, None], group)
    spread = weights.std(correction=0)
    if spread == 0:
        return torch.zeros(states.shape[1:])
    pulled = (weights / spread) * _centred(states.float(), group)
    total = pulled.sum(dim=0) / (weights / spread).abs().sum()
    return torch.nn.functional.normalize(total, dim=-1)


def _centred(values: Tensor, group: Tensor) -> Tensor:
    """Subtract from each row the mean over the rows of its group."""
    count = int(group.max()) + 1
    sums = torch.zeros(count, *values.shape[1:]).index_add(0, group, values)
    sizes = torch.bincount(group, minlength=count).reshape(-1, *[1] * (values.dim() - 1))
    return values - (sums / sizes)[group]
