"""LoRA matrices of many rows as few tensors, kept from step to step.

Knows nothing of hooks or requests. Rows with the same adapter share one matrix product; where most
rows differ, their matrices are stacked and multiplied by one `bmm` (S-LoRA's contiguous form,
arXiv:2311.03285, section 5). A stack is not rebuilt when a row joins or leaves: only that row is copied.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from personalization.models.personal import LoraWeights

Adapters = tuple[tuple[LoraWeights, float], ...]

# A product of an adapter's own takes about as long as so many more rows of a stack.
_ROWS_EACH = 4
# So many adapters stay ready for products of their own (10 MB each for a 135M model at rank 8).
_KEPT = 8
_GROWTH = 8  # slots are added by so many, since a larger stack is filled anew
_Matrices = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Joint:
    """Linear layers that read the same input and give one output, side by side; one layer is the plain case.

    Their adapters' first products are one, too. So are the second ones where each row has its own: as equal
    blocks of the output, each with the part of the first product that it belongs to.
    """

    names: tuple[str, ...]
    outs: tuple[int, ...]

    @property
    def width(self) -> int:
        """Return how wide a block of the output is."""
        return math.gcd(*self.outs)

    @property
    def owners(self) -> list[int]:
        """Return each block's layer, as its place in `names`."""
        return [i for i, out in enumerate(self.outs) for _ in range(out // self.width)]


def joints_of(linears: Mapping[str, nn.Linear], joints: Sequence[Sequence[str]]) -> dict[str, Joint]:
    """Return each layer's joint, by its name; layers that none of them names are alone, and left out."""
    found: dict[str, Joint] = {}
    for names in joints:
        joint = Joint(tuple(names), tuple(linears[name].out_features for name in names))
        found |= dict.fromkeys(names, joint)
    return found


def joint_of(name: str, joints: Mapping[str, Joint], linears: Mapping[str, nn.Linear]) -> Joint:
    """Return a layer's joint, which may be of it alone."""
    return joints.get(name) or Joint((name,), (linears[name].out_features,))


@dataclass(frozen=True, slots=True)
class Shared:
    """Rows that have the same adapters. `index` None: all rows of the batch."""

    index: Tensor | None  # (k,)
    down: Tensor  # (in, layers x r)
    up: Tensor  # (layers x r, out), zero outside of the layers' own blocks; scaling and strength folded in

    @property
    def tensors(self) -> list[Tensor]:
        """What is read."""
        return [self.down, self.up, *([] if self.index is None else [self.index])]

    def add_(self, x: Tensor, output: Tensor) -> None:
        """Add x (batch, time, in) times these matrices to output (batch, time, out), in place."""
        if self.index is None:
            output.add_((x @ self.down) @ self.up)
        else:
            output.index_add_(0, self.index, (x.index_select(0, self.index) @ self.down) @ self.up)


@dataclass(frozen=True, slots=True)
class Stacked:
    """All rows of the batch, each with adapters of its own."""

    down: Tensor  # (rows, in, layers x r)
    up: Tensor  # (rows x blocks, r, width); scaling and strength folded in
    owners: Sequence[int]  # each block's layer
    index: Tensor | None  # the same (blocks,); None: block i is layer i

    @property
    def tensors(self) -> list[Tensor]:
        """What is read."""
        return [self.down, self.up, *([] if self.index is None else [self.index])]

    def add_(self, x: Tensor, output: Tensor) -> None:
        """Add x (rows, time, in) times these matrices to output (rows, time, out), in place.

        Both are contiguous.
        """
        mid = torch.bmm(x, self.down)
        (rows, time, _), (rank, width) = mid.shape, self.up.shape[1:]
        if len(self.up) == rows:
            output.baddbmm_(mid, self.up)
        elif time == 1:
            each = mid.view(rows, -1, rank)
            if self.index is not None:
                each = each.index_select(1, self.index)
            output.view(-1, 1, width).baddbmm_(each.view(-1, 1, rank), self.up)
        else:
            ups = self.up.view(rows, -1, rank, width)
            for block, owner in enumerate(self.owners):
                part = mid[..., owner * rank : (owner + 1) * rank]
                output[..., block * width : (block + 1) * width].baddbmm_(part, ups[:, block])


class Group(Protocol):
    """What adapters add to one joint's output."""

    @property
    def tensors(self) -> list[Tensor]:
        """What is read."""
        ...

    def add_(self, x: Tensor, output: Tensor) -> None:
        """Add it to output, in place."""
        ...


@dataclass(slots=True)
class _Slots:
    """One stack for each joint, and which adapters each slot holds; None: anything."""

    rank: int
    tensors: dict[str, tuple[Tensor, Tensor]]  # (slots, in, layers x rank), (slots, blocks, rank, width)
    indices: dict[str, Tensor | None]  # as in `Stacked`
    held: list[Adapters | None]


class Stacks:
    """Builds the groups for a batch of adapters that fit the model, reusing what the last batch left.

    `joints` says which of the layers are computed as one; those that it does not name are alone. `is_tall`:
    for many tokens of each row. Products with few columns are then half as long where a column is contiguous,
    and with one token of each row twice as long. `is_still`: rows are always stacked, so that what is read
    stays at its place when others join.
    """

    def __init__(
        self,
        linears: Mapping[str, nn.Linear],
        joints: Sequence[Sequence[str]] = (),
        *,
        is_tall: bool = False,
        is_still: bool = False,
    ) -> None:
        self._linears, self._is_tall, self._is_still = linears, is_tall, is_still
        self._joints = joints_of(linears, joints)
        self._shared: OrderedDict[Adapters, _Matrices] = OrderedDict()
        self._slots: _Slots | None = None

    def groups(self, rows: Sequence[Adapters], *, everywhere: bool = False) -> Mapping[str, Sequence[Group]]:
        """Return the groups by the name of the layer or of a joint's first; none when no row has an adapter.

        Where most rows differ, they are stacked: four products of a token each take twice as long as one of
        all. `everywhere`: a single row stands for all.
        """
        distinct = list(dict.fromkeys(adapters for adapters in rows if adapters))
        is_many = len(distinct) > _KEPT or 1 < len(distinct) >= len(rows) / _ROWS_EACH
        if is_many or (self._is_still and distinct):
            return self._many(rows)
        if not everywhere:
            self._slots = None
        groups: dict[str, list[Group]] = {}
        for adapters in distinct:
            members = [i for i, row in enumerate(rows) if row == adapters]
            whole = everywhere or len(members) == len(rows)
            index = None
            for name, (down, up) in self._matrices(adapters).items():
                if not whole and index is None:
                    index = torch.tensor(members, device=down.device)
                groups.setdefault(name, []).append(Shared(index, down, up))
        return groups

    def for_prompts(self) -> Stacks:
        """Return stacks for many tokens of other rows at the same time; what few adapters need is shared."""
        other = Stacks(self._linears, is_tall=True)
        other._joints, other._shared = self._joints, self._shared
        return other

    def _many(self, rows: Sequence[Adapters]) -> Mapping[str, Sequence[Group]]:
        slots = self._slots
        held = [] if slots is None else slots.held
        new = [row for i, row in enumerate(rows) if i >= len(held) or held[i] != row]
        joints, rank = self._needs(new)
        if slots is None or slots.rank < rank or len(held) < len(rows) or joints.keys() - slots.tensors:
            joints, rank = self._needs(rows)
            slots = self._slots = self._empty(joints.values(), rank, -(-len(rows) // _GROWTH) * _GROWTH)
        for i, row in enumerate(rows):
            if slots.held[i] != row:
                slots.held[i] = None  # so that a failure half-way leaves no slot that claims to be filled
                self._fill(slots, i, row)
                slots.held[i] = row
        n = len(rows)
        return {
            name: [Stacked(down[:n], up[:n].flatten(0, 1), self._joint(name).owners, slots.indices[name])]
            for name, (down, up) in slots.tensors.items()
        }

    def _needs(self, rows: Sequence[Adapters]) -> tuple[dict[str, Joint], int]:
        """Return the joints that these rows act on, by their first name, and the largest rank."""
        joints = {joint.names[0]: joint for row in rows for joint in self._targets(row)}
        return joints, max(map(_rank, rows), default=0)

    def _joint(self, name: str) -> Joint:
        return joint_of(name, self._joints, self._linears)

    def _targets(self, adapters: Adapters) -> list[Joint]:
        names = (name for weights, _ in adapters for name in weights.modules)
        return list(dict.fromkeys(self._joint(name) for name in names))

    def _empty(self, joints: Iterable[Joint], rank: int, count: int) -> _Slots:
        tensors, indices = {}, {}
        for joint in joints:
            weight, owners = self._linears[joint.names[0]].weight, joint.owners
            width, columns = weight.shape[1], len(joint.names) * rank
            down = (
                weight.new_empty(count, columns, width).transpose(1, 2)
                if self._is_tall
                else weight.new_empty(count, width, columns)
            )
            tensors[joint.names[0]] = down, weight.new_empty(count, len(owners), rank, joint.width)
            plain = owners == list(range(len(owners)))
            indices[joint.names[0]] = None if plain else torch.tensor(owners, device=weight.device)
        return _Slots(rank, tensors, indices, [None] * count)

    def _fill(self, slots: _Slots, i: int, row: Adapters) -> None:
        for first, (down, up) in slots.tensors.items():
            joint, block = self._joint(first), 0
            pairs = [self._pairs(name, row) for name in joint.names]
            if any(sum(len(b) for _, b in each) < slots.rank for each in pairs):
                down[i].zero_()
                up[i].zero_()
            for place, (each, out) in enumerate(zip(pairs, joint.outs, strict=True)):
                blocks, start = out // joint.width, 0
                for a, b in each:
                    stop = start + a.shape[1]
                    down[i, :, place * slots.rank + start : place * slots.rank + stop] = a
                    up[i, block : block + blocks, start:stop] = b.unflatten(1, (blocks, -1)).transpose(0, 1)
                    start = stop
                block += blocks

    @staticmethod
    def _pairs(name: str, adapters: Adapters) -> list[tuple[Tensor, Tensor]]:
        """Return each adapter's matrices for this layer, with its strength."""
        found = [(weights.modules[name], s) for weights, s in adapters if name in weights.modules]
        return [(a, b if strength == 1 else b.float() * strength) for (a, b), strength in found]

    def _matrices(self, adapters: Adapters) -> _Matrices:
        """Return a row's adapters as one pair of matrices for each joint, kept for the next batches."""
        if (found := self._shared.get(adapters)) is not None:
            self._shared.move_to_end(adapters)
            return found
        matrices = {}
        for joint in self._targets(adapters):
            weight = self._linears[joint.names[0]].weight
            pairs = [self._pairs(name, adapters) for name in joint.names]
            downs = [a.to(weight) for each in pairs for a, _ in each]
            # A layer that no adapter targets keeps its columns, empty.
            ups = [
                torch.cat([b.to(weight) for _, b in each]) if each else weight.new_empty(0, out)
                for each, out in zip(pairs, joint.outs, strict=True)
            ]
            down = torch.cat([a.T for a in downs]).T  # whose columns are contiguous
            matrices[joint.names[0]] = down, torch.block_diag(*ups)
        self._shared[adapters] = matrices
        if len(self._shared) > _KEPT:
            self._shared.popitem(last=False)
        return matrices


def _rank(row: Adapters) -> int:
    """Return the largest total rank that a row has in any module."""
    totals: dict[str, int] = {}
    for weights, _ in row:
        for name, (a, _) in weights.modules.items():
            totals[name] = totals.get(name, 0) + a.shape[1]
    return max(totals.values(), default=0)
