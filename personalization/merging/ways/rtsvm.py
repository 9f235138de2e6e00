"""Task singular vectors, reweighted. Yang et al. 2025 (R-TSVM, RESM), arXiv:2502.06876.

The paper names the two parts, outlier weights and a rank that adapts to a layer's sparsity; its formulas
could not be read here, so both are derived, and may differ from the authors'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from torch import Tensor

from personalization.merging.changes import Change, singular
from personalization.merging.registry import way
from personalization.merging.vectors import apart
from personalization.registry import Range


@way("rtsvm", paper="arXiv:2502.06876")
def rtsvm(
    changes: Sequence[Change],
    weights: Sequence[float],
    *,
    deviations: Annotated[float, Range(0.0, 6.0)] = 3.0,
    rank: Annotated[int, Range(1, 256)] = 24,
) -> Change:
    """Merge task singular vectors with more say for changes that have outliers, and ranks as they need them.

    Derived. Weight: the share o_i of change i's absolute sum that lies in entries more than `deviations`
    standard deviations from its mean is what it clearly says about this weight; noise of preferences spreads
    evenly. w_i becomes w_i T o_i / sum_j o_j, so that equal shares change nothing. Rank: `rank` triples in
    all, given to the changes in proportion to their stable rank |D|_F^2 / |D|_2^2, which is small where a
    change is concentrated, and at least one to each.
    """
    shares = [_outliers(change.dense(), deviations) for change in changes]
    total = sum(shares)
    says = [len(shares) * share / total if total else 1.0 for share in shares]
    triples = [singular(c.times(w)) for c, w in zip(changes, weights, strict=True)]
    needs = [float((t.values / t.values[0]).square().sum()) if len(t.values) else 0.0 for t in triples]
    kept = [max(1, int(rank * need / sum(needs))) if need else 0 for need in needs]
    parts = [t.first(k) for t, k in zip(triples, kept, strict=True)]
    return apart([type(t)(t.left, t.values * say, t.right) for t, say in zip(parts, says, strict=True)])


def _outliers(matrix: Tensor, deviations: float) -> float:
    size = matrix.abs()
    total = float(size.sum())
    far = (matrix - matrix.mean()).abs() > deviations * matrix.std()
    return float(size[far].sum()) / total if total else 0.0
