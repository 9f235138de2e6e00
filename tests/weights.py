"""Adapters' files compared."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def gap(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """Return the largest difference beyond one step of bfloat16, which rounding may make of none."""
    assert mine.keys() == theirs.keys()
    gaps = ((mine[name] - theirs[name]).abs() - 2**-7 * theirs[name].abs() for name in mine)
    return max(each.max().item() for each in gaps)
