"""Trim, elect sign, merge. Yadav et al. 2023, "TIES-Merging", arXiv:2306.01708, algorithm 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from torch import Tensor

from personalization.merging.changes import Change
from personalization.merging.registry import way
from personalization.merging.sparse import elected, largest
from personalization.registry import Range


@way("ties", paper="arXiv:2306.01708", rank=16)
def ties(
    changes: Sequence[Change],
    weights: Sequence[float],
    *,
    density: Annotated[float, Range(0.01, 1.0)] = 0.3,
) -> Tensor:
    """Keep each change's largest entries, let each entry's sign be elected, average those that agree.

    Departure from the paper: it trims a model's whole change at once; here, as in PEFT, each weight's own.
    """
    return elected(largest(changes, density), weights)
