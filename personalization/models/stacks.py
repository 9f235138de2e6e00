"""LoRA matrices of many rows as few tensors, kept from step to step.

Knows nothing of hooks or requests. Rows with the same adapter share one matrix product; where most
rows differ, their matrices are stacked and multiplied by one `bmm` (S-LoRA's contiguous form,
arXiv:2311.03285, section 5). A stack is not rebuilt when a row joins or leaves: only that row is copied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from personalization.errors import ModelError

if TYPE_CHECKING:
    from personalization.models.interventions import LoraWeights

Adapters = tuple[tuple["LoraWeights", float], ...]

# Up to so many distinct adapters get a product each; more are stacked.
_FEW = 4
# So many adapters stay ready for products of their own (10 MB each for a 135M model at rank 8).
_KEPT = 8
_GROWTH = 8  # slots are added by so many, since a larger stack is filled anew
_Matrices = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are computed by one pair of products. `index` None: all rows of the batch."""

    index: Tensor | None  # (k,)
    down: Tensor  # (in, r) shared, or (k, in, r)
    up: Tensor  # (r, out) shared, or (k, r, out); scaling and strength folded in

    def add_(self, x: Tensor, output: Tensor) -> None:
        """Add x (batch, time, in) times this group's matrices to output (batch, time, out), in place.

        `output` may be a part of a larger tensor."""
        if self.index is None:
            output.add_(self._change(x))
        else:
            output.index_add_(0, self.index, self._change(x))

    def _change(self, x: Tensor) -> Tensor:
        rows = x if self.index is None else x.index_select(0, self.index)
        if self.down.dim() == 3:
            return torch.bmm(torch.bmm(rows, self.down), self.up)
        return (rows @ self.down) @ self.up


@dataclass(slots=True)
class _Slots:
    """One stack for each module, and which adapters each slot holds."""

    rank: int
    tensors: dict[str, tuple[Tensor, Tensor]]  # (slots, in, rank), (slots, rank, out)
    held: list[Adapters]


class Stacks:
    """Builds the groups for a batch, reusing what the last batch left."""

    def __init__(self, linears: Mapping[str, nn.Linear]) -> None:
        self._linears = linears
        self._shared: OrderedDict[Adapters, _Matrices] = OrderedDict()
        self._slots: _Slots | None = None

    def groups(
        self, rows: Sequence[Adapters], *, everywhere: bool, stacked: bool
    ) -> Mapping[str, Sequence[Group]]:
        """Return each targeted module's groups; an empty mapping when no row has an adapter.

        `stacked` allows the stack for many different ones: sixteen products of a few tokens each take
        far longer than one of all. Raises ModelError when an adapter does not fit the model.
        """
        distinct = list(dict.fromkeys(adapters for adapters in rows if adapters))
        if stacked and len(distinct) > _FEW:
            return self._many(rows)
        if stacked:
            self._slots = None
        groups: dict[str, list[Group]] = {}
        for adapters in distinct:
            members = [i for i, row in enumerate(rows) if row == adapters]
            whole = everywhere or len(members) == len(rows)
            index = None
            for name, (down, up) in self._matrices(adapters).items():
                if not whole and index is None:
                    index = torch.tensor(members, device=down.device)
                groups.setdefault(name, []).append(Group(index, down, up))
        return groups

    def beside(self) -> Stacks:
        """Return stacks for other rows at the same time; what few adapters need is common to both."""
        other = Stacks(self._linears)
        other._shared = self._shared
        return other

    def check(self, adapters: Sequence[LoraWeights]) -> None:
        """Raise ModelError when one of these does not fit the model."""
        for weights in adapters:
            for name in weights.modules:
                self._checked(name, weights)

    def _many(self, rows: Sequence[Adapters]) -> Mapping[str, Sequence[Group]]:
        names = {name for row in rows for weights, _ in row for name in weights.modules}
        rank = max(_rank(row) for row in rows)
        slots = self._slots
        if slots is None or slots.rank < rank or len(slots.held) < len(rows) or names - set(slots.tensors):
            slots = self._slots = self._empty(names, rank, -(-len(rows) // _GROWTH) * _GROWTH)
        for i, row in enumerate(rows):
            if slots.held[i] != row:
                slots.held[i] = ()  # so that a failure half-way leaves no slot that claims to be filled
                self._fill(slots, i, row)
                slots.held[i] = row
        n = len(rows)
        return {name: [Group(None, down[:n], up[:n])] for name, (down, up) in slots.tensors.items()}

    def _empty(self, names: set[str], rank: int, count: int) -> _Slots:
        tensors = {}
        for name in names:
            weight = self._weight(name)
            out, width = weight.shape
            tensors[name] = (weight.new_zeros(count, width, rank), weight.new_zeros(count, rank, out))
        return _Slots(rank, tensors, [()] * count)

    def _fill(self, slots: _Slots, i: int, row: Adapters) -> None:
        for name, (down, up) in slots.tensors.items():
            down[i].zero_()
            up[i].zero_()
            start = 0
            for weights, strength in row:
                if name in weights.modules:
                    a, b = self._checked(name, weights)
                    stop = start + a.shape[1]
                    down[i, :, start:stop] = a
                    up[i, start:stop] = b * strength
                    start = stop

    def _matrices(self, adapters: Adapters) -> _Matrices:
        """Return a row's adapters as one pair of matrices for each module, kept for the next batches."""
        if (found := self._shared.get(adapters)) is not None:
            self._shared.move_to_end(adapters)
            return found
        names = dict.fromkeys(name for weights, _ in adapters for name in weights.modules)
        matrices = {}
        for name in names:
            weight = self._weight(name)
            pairs = [(self._checked(name, w), s) for w, s in adapters if name in w.modules]
            matrices[name] = (
                torch.cat([a for (a, _), _ in pairs], dim=1).to(weight),
                torch.cat([b * s for (_, b), s in pairs], dim=0).to(weight),
            )
        self._shared[adapters] = matrices
        if len(self._shared) > _KEPT:
            self._shared.popitem(last=False)
        return matrices

    def _weight(self, name: str) -> Tensor:
        if name not in self._linears:
            raise ModelError(f"The adapter targets {name!r}, which this base model does not have.")
        return self._linears[name].weight

    def _checked(self, name: str, weights: LoraWeights) -> tuple[Tensor, Tensor]:
        a, b = weights.modules[name]
        out, width = self._weight(name).shape
        if a.shape[0] != width or b.shape[1] != out or a.shape[1] != b.shape[0]:
            raise ModelError(
                f"The adapter's matrices for {name!r} do not fit this base model's {width}x{out}."
            )
        return a, b


def _rank(row: Adapters) -> int:
    """Return the largest total rank that a row has in any module."""
    totals: dict[str, int] = {}
    for weights, _ in row:
        for name, (a, _) in weights.modules.items():
            totals[name] = totals.get(name, 0) + a.shape[1]
    return max(totals.values(), default=0)
