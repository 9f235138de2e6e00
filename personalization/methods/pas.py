"""Personality activation steering: attention heads that tell what a person agrees with, in closed form.

Zhu et al. 2024 (PAlign), arXiv:2408.11779, with these departures: the probes are ridge regressions
instead of unseeded logistic ones, a head is judged by items that its probe did not see (both answers
to an item are left out together, because they are near twins), and the targets are graded and centred,
so that answers of 3 count and a person's general readiness to agree does not pull.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from personalization.registry import Range, method


@method("pas", data="inventory", produces="personality", paper="arXiv:2408.11779")
def directions(
    activations: Tensor,
    agreement: Sequence[float],
    *,
    heads: Annotated[int, Range(1, 256)] = 24,
    ridge: Annotated[float, Range(0.001, 1000.0)] = 1.0,
) -> Tensor:
    """Learn a personality from the inventory: steer the attention heads that follow your answers.

    `activations` is (items, 2, heads, width), what a head passes on after an item was answered with
    "strongly agree" and "strongly disagree"; `agreement` is 1 to 5. Each of the best heads gets the unit
    mean difference times the standard deviation of what lies along it. Returns (heads, width); zeros
    for all other heads, and everywhere when all answers are alike.
    """
    target = (torch.tensor(list(agreement), dtype=torch.float32) - 3) / 2
    target = target - target.mean()
    if not target.any():
        return torch.zeros(activations.shape[2:])
    difference = (activations[:, 0] - activations[:, 1]).transpose(0, 1)  # (heads, items, width)
    error = left_out_errors(difference, target, ridge=ridge).square().sum(dim=1)
    best = error.argsort()[:heads]
    # The mean over agreeing minus the mean over disagreeing prompts, graded: only differences enter.
    unit = torch.nn.functional.normalize((target[:, None] * difference[best]).mean(dim=1), dim=-1)
    along = torch.einsum("nphw,hw->hnp", activations[:, :, best], unit)
    found = torch.zeros(activations.shape[2:])
    found[best] = unit * along.flatten(1).std(dim=1)[:, None]
    return found


def left_out_errors(difference: Tensor, target: Tensor, *, ridge: float) -> Tensor:
    """Return each head's error on each item when its ridge probe was fitted on all others: (heads, items).

    The residual divided by one minus the diagonal of the hat matrix, exact for a fixed penalty. The
    penalty is `ridge` times the mean variance of the head's inputs, the intercept is free.
    """
    n, width = difference.shape[1:]
    centred = difference - difference.mean(dim=1, keepdim=True)
    gram = centred.transpose(1, 2) @ centred
    penalty = ridge * gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-12)
    inverse_times = torch.linalg.solve(
        gram + penalty[:, None, None] * torch.eye(width), centred.transpose(1, 2)
    )
    hat = centred @ inverse_times + 1 / n
    residual = target - hat @ target
    return residual / (1 - hat.diagonal(dim1=1, dim2=2))
