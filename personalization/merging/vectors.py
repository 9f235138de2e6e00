"""What the ways that look at singular vectors share: triples of all tasks, made not to interfere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from personalization.merging.changes import NOTHING, Change, Triples


def apart(tasks: Sequence[Triples]) -> Change:
    """Return the sum of the tasks' triples with their singular vectors made orthogonal over all tasks.

    Gargiulo et al. 2025 (TSV-M), section 4.3: U = [U_1 ... U_T] becomes the nearest matrix with orthonormal
    columns, and so does V. Ours: where columns depend on each other (an adapter twice), the polar
    factor is not unique, and only the part that U spans is used: a change merged with itself is itself.
    """
    left = _orthogonal(torch.cat([task.left for task in tasks], dim=1))
    right = _orthogonal(torch.cat([task.right for task in tasks]).T).T
    root = torch.cat([task.values for task in tasks]).sqrt()
    return Change(left * root, root[:, None] * right)


def _orthogonal(columns: Tensor) -> Tensor:
    """Return the polar factor, in the space that the columns span; the SVD is of a small matrix."""
    q, r = torch.linalg.qr(columns.double())
    left, values, right = torch.linalg.svd(r, full_matrices=False)
    kept = int((values > NOTHING * values[:1]).sum()) if len(values) else 0
    return (q @ left[:, :kept] @ right[:kept]).to(columns.dtype)
