"""Drop and rescale. Yu et al. 2024, "Language models are super Mario", arXiv:2311.03099, equation 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from torch import Tensor

from personalization.merging.changes import Change
from personalization.merging.registry import way
from personalization.merging.sparse import at_random, weighted
from personalization.registry import Range


@way("dare", paper="arXiv:2311.03099", rank=16)
def dare(
    changes: Sequence[Change],
    weights: Sequence[float],
    *,
    density: Annotated[float, Range(0.05, 1.0)] = 0.5,
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0,
) -> Tensor:
    """Drop entries of each change at random, enlarge the others by as much, and add up.

    In expectation the exact sum. The same seed gives the same merge.
    """
    return weighted(at_random(changes, density, seed), weights).sum(dim=0)
