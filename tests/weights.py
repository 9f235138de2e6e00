"""Adapters' files compared."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def gap(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """Return the largest difference, but for those of one step of bfloat16 that one weight of 500 may have.

    Rounding makes such steps of differences that are next to none.
    """
    assert mine.keys() == theirs.keys()
    gaps = torch.cat([(mine[name] - theirs[name]).abs().flatten() for name in mine]).float()
    steps = torch.cat([2**-7 * theirs[name].abs().flatten() for name in mine]).float()
    left = torch.where(gaps <= steps, 0.0, gaps) if (gaps > 1e-5).float().mean() < 0.002 else gaps
    return float(left.max())
