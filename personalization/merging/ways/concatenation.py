"""The exact weighted sum. Ilharco et al. 2023, "task arithmetic", arXiv:2212.04089, section 2."""

from __future__ import annotations

from collections.abc import Sequence

from personalization.merging.changes import Change, added
from personalization.merging.registry import way


@way("cat", paper="arXiv:2212.04089")
def concatenation(changes: Sequence[Change], weights: Sequence[float]) -> Change:
    """Add the changes up, exactly: the ranks add up, too.

    sum_i w_i D_i; each adapter's factors stand side by side. Nothing is lost and nothing is settled: where
    two adapters disagree, both act.
    """
    return added(changes, weights)
