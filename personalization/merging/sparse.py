"""What the ways that look at single entries share: leave some out, and let signs be elected."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from personalization.merging.changes import Change


def largest(changes: Sequence[Change], density: float) -> Tensor:
    """Return the matrices (tasks, in, out), each with its largest entries only: this share of them."""
    found = []
    for change in changes:
        matrix = change.dense()
        kept = torch.topk(matrix.abs().flatten(), int(density * matrix.numel())).indices
        mask = torch.zeros(matrix.numel(), dtype=torch.bool).index_fill_(0, kept, value=True)
        found.append(matrix * mask.view_as(matrix))
    return torch.stack(found)


def at_random(changes: Sequence[Change], density: float, seed: int) -> Tensor:
    """Return the matrices with this share of entries, drawn at random and enlarged by what is left out.

    The draw depends on the seed and the change itself, not on its place among the others.
    """
    found = []
    for change in changes:
        matrix = change.dense()
        generator = torch.Generator().manual_seed(_seed_of(change, seed))
        mask = torch.rand(matrix.shape, generator=generator) < density
        found.append(matrix * mask / density)
    return torch.stack(found)


def elected(matrices: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the mean of each entry over the tasks whose sign is that of the sum, each times its weight.

    Equations of section 4.3 of TIES (Yadav et al. 2023): elect the sign with the larger total, then a
    disjoint mean. Entries of a task that are zero or point the other way have no part in it.
    """
    sign = torch.where(matrices.sum(dim=0) >= 0, 1.0, -1.0)
    agrees = matrices.sign() == sign
    return (weighted(matrices, weights) * agrees).sum(dim=0) / agrees.sum(dim=0).clamp(min=1)


def weighted(matrices: Tensor, weights: Sequence[float]) -> Tensor:
    """Return each task's matrix times its weight."""
    return matrices * torch.tensor(list(weights), dtype=matrices.dtype)[:, None, None]


def _seed_of(change: Change, seed: int) -> int:
    bits = hashlib.sha256(f"{seed} ".encode())
    bits.update(change.down.contiguous().numpy().tobytes())
    bits.update(change.up.contiguous().numpy().tobytes())
    return int.from_bytes(bits.digest()[:7], "big")
