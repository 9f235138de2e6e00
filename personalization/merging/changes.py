"""The change that an adapter makes to one weight, as a product of two thin matrices.

Everything here is computed in the rank's own space where that is exact: a 576 x 1536 change of rank 8 has
17,000 numbers as factors and 885,000 as a matrix. Knows nothing of how changes are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Singular values below this share of the largest one are rounding.
NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Change:
    """`down` (in, r) times `up` (r, out): added to a weight, transposed; the scaling is folded in."""

    down: Tensor
    up: Tensor

    def __post_init__(self) -> None:
        if self.down.shape[1] != self.up.shape[0]:
            raise ValueError(f"{tuple(self.down.shape)} and {tuple(self.up.shape)} have no common rank.")

    @property
    def rank(self) -> int:
        """The number of columns; the matrix may have less."""
        return self.down.shape[1]

    def dense(self) -> Tensor:
        """Return the whole matrix (in, out)."""
        return self.down @ self.up

    def times(self, factor: float) -> Change:
        """Return the change multiplied by a number."""
        return Change(self.down, self.up * factor)

    def inner(self, other: Change) -> float:
        """Return the inner product of both matrices' entries, without the matrices."""
        return float(((self.down.T @ other.down).double() * (self.up @ other.up.T).double()).sum())

    def norm(self) -> float:
        """Return the Frobenius norm."""
        return max(self.inner(self), 0.0) ** 0.5


@dataclass(frozen=True, slots=True)
class Triples:
    """Singular triples, the largest first: `left` (in, k), `values` (k,), `right` (k, out)."""

    left: Tensor
    values: Tensor
    right: Tensor

    def first(self, count: int) -> Triples:
        """Return the largest ones."""
        return Triples(self.left[:, :count], self.values[:count], self.right[:count])

    def change(self) -> Change:
        """Return their sum, the values shared evenly between both factors."""
        root = self.values.sqrt()
        return Change(self.left * root, root[:, None] * self.right)


def added(changes: Sequence[Change], weights: Sequence[float]) -> Change:
    """Return the weighted sum, exactly: factors side by side, so that the ranks add up."""
    return Change(
        torch.cat([change.down for change in changes], dim=1),
        torch.cat([change.up * weight for change, weight in zip(changes, weights, strict=True)]),
    )


def singular(change: Change) -> Triples:
    """Return the singular triples of a product; zeros are left out. Exact, of two QRs and one small SVD."""
    down, up = change.down.double(), change.up.double()
    q_down, r_down = torch.linalg.qr(down)
    q_up, r_up = torch.linalg.qr(up.T)
    left, values, right = torch.linalg.svd(r_down @ r_up.T, full_matrices=False)
    kept = int((values > NOTHING * values[:1]).sum()) if len(values) else 0
    found = Triples(q_down @ left[:, :kept], values[:kept], right[:kept] @ q_up.T)
    return Triples(*(part.to(change.down.dtype) for part in (found.left, found.values, found.right)))


def compressed(change: Change | Tensor, rank: int) -> Change:
    """Return the nearest change of at most this rank (Eckart and Young 1936), of factors or of a matrix.

    Of a matrix the smaller Gram matrix is diagonalised, in double precision: a tenth of the time of an SVD.
    """
    if isinstance(change, Change):
        return singular(change).first(rank).change()
    matrix = change.double()
    is_tall = matrix.shape[0] > matrix.shape[1]
    gram = matrix.T @ matrix if is_tall else matrix @ matrix.T
    basis = torch.linalg.eigh(gram).eigenvectors[:, -rank:]  # in rising order
    down, up = (matrix @ basis, basis.T) if is_tall else (basis, basis.T @ matrix)
    return singular(Change(down.to(change.dtype), up.to(change.dtype))).change()


def lost(whole: Change | Tensor, kept: Change) -> float:
    """Return how far `kept` is from `whole`, as a share of the norm of `whole`; 0 for nothing at all."""
    if isinstance(whole, Change):
        # The difference's own factors: of nearly equal norms the subtraction would leave rounding only.
        rest = singular(added([whole, kept], [1.0, -1.0])).values.double()
        size, difference = whole.norm(), float(rest.square().sum()) ** 0.5
    else:
        size, difference = float(whole.norm()), float((whole - kept.dense()).norm())
    return difference / size if size else 0.0
