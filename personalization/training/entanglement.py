"""Do chosen and rejected answers pull the same weights? Then a margin can grow while both sink, or rise.

Yuan et al. 2024 (arXiv:2410.13828): a step on a margin loss raises the chosen and lowers the rejected
log-probability, to first order, where <g_w, g_l> <= min(|g_w|^2, |g_l|^2), with g_w and g_l the gradients
of the two log-probabilities. Knows nothing of what is done about it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Entanglement:
    """Inner product of the two gradients and their squared norms, in nats squared per unit of weight."""

    inner: float
    chosen: float
    rejected: float

    @property
    def cosine(self) -> float:
        """How far both gradients point the same way, -1 to 1; 0 where one of them vanishes."""
        size = math.sqrt(self.chosen * self.rejected)
        return self.inner / size if size > 0 else 0.0

    @property
    def holds(self) -> bool:
        """Whether the paper's condition holds: the next step moves both answers as asked."""
        return self.inner <= min(self.chosen, self.rejected)

    def as_dict(self) -> dict[str, float | bool]:
        """Return the numbers and what follows from them, JSON-ready."""
        return {
            "inner": self.inner,
            "chosen": self.chosen,
            "rejected": self.rejected,
            "cosine": self.cosine,
            "holds": self.holds,
        }


def entanglement(chosen: Tensor, rejected: Tensor, parameters: Sequence[Tensor]) -> Entanglement:
    """Return how entangled two log-probabilities (scalars of one graph) are in these parameters.

    The graph is freed; no `.grad` is touched.
    """
    up = torch.autograd.grad(chosen, parameters, retain_graph=True, allow_unused=True)
    down = torch.autograd.grad(rejected, parameters, allow_unused=True)
    both = [
        (a.flatten(), b.flatten()) for a, b in zip(up, down, strict=True) if a is not None and b is not None
    ]
    return Entanglement(
        sum(float(a @ b) for a, b in both),
        sum(float(a.flatten() @ a.flatten()) for a in up if a is not None),
        sum(float(b.flatten() @ b.flatten()) for b in down if b is not None),
    )
