"""The weighted sum, compressed. Eckart and Young 1936, Psychometrika 1:211: the nearest of a rank."""

from __future__ import annotations

from collections.abc import Sequence

from personalization.merging.changes import Change, added
from personalization.merging.registry import way


@way("svd", paper="doi:10.1007/BF02288367", rank=16)
def svd(changes: Sequence[Change], weights: Sequence[float]) -> Change:
    """Add the changes up and keep the largest singular values: as small as one likes, with a known loss."""
    return added(changes, weights)
