"""Drop and rescale, then elect signs. Yu et al. 2024, arXiv:2311.03099, with TIES in place of the sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from torch import Tensor

from personalization.merging.changes import Change
from personalization.merging.registry import way
from personalization.merging.sparse import at_random, elected
from personalization.registry import Range


@way("dare_ties", paper="arXiv:2311.03099", rank=16)
def dare_ties(
    changes: Sequence[Change],
    weights: Sequence[float],
    *,
    density: Annotated[float, Range(0.05, 1.0)] = 0.5,
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0,
) -> Tensor:
    """Drop entries at random, enlarge the others, and let each entry's sign be elected as TIES does."""
    return elected(at_random(changes, density, seed), weights)
