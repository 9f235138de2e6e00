"""Magnitude pruning, then the weighted sum. Han et al. 2015, arXiv:1506.02626, on changes as PEFT does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from torch import Tensor

from personalization.merging.changes import Change
from personalization.merging.registry import way
from personalization.merging.sparse import largest, weighted
from personalization.registry import Range


@way("magnitude", paper="arXiv:1506.02626", rank=16)
def magnitude(
    changes: Sequence[Change],
    weights: Sequence[float],
    *,
    density: Annotated[float, Range(0.01, 1.0)] = 0.3,
) -> Tensor:
    """Keep each change's largest entries and add them up; `density` is the share that is kept."""
    return weighted(largest(changes, density), weights).sum(dim=0)
