"""Task singular vectors. Gargiulo et al. 2025 (TSV-M), arXiv:2412.00081, section 4.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from personalization.merging.changes import Change, singular
from personalization.merging.registry import way
from personalization.merging.vectors import apart
from personalization.registry import Range


@way("tsvm", paper="arXiv:2412.00081")
def tsvm(
    changes: Sequence[Change],
    weights: Sequence[float],
    *,
    rank: Annotated[int, Range(1, 256)] = 24,
) -> Change:
    """Keep each change's leading singular vectors, make those of all changes orthogonal, add up.

    Each of T adapters keeps rank / T triples. The paper keeps 1 / T of a full weight's; an adapter's change
    has so few that all of them fit beside each other, and the default of 24 keeps all of three of rank 8.
    """
    each = max(1, rank // len(changes))
    return apart([singular(c.times(w)).first(each) for c, w in zip(changes, weights, strict=True)])
