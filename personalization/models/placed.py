"""LoRA matrices of many rows, read where they lie: for what this machine's compiler builds.

Each adapter is laid out once, as its products read it; a batch of any rows is a table of addresses, so that
nobody's matrices are copied when others join, and a row may have several adapters, of any rank (as Punica
gathers them on a GPU, arXiv:2310.18547). For torch's own operators `stacks.py` copies them side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from personalization.models.personal import LoraWeights
from personalization.models.stacks import Adapters, Joint, joint_of, joints_of

_FIELDS = 5  # of a term: where down and up lie, rank, bits of a number, strength (the bits of a float64)
_ALIGNED = 32  # numbers


@dataclass(frozen=True, slots=True)
class Placed:
    """What rows have of their own at one joint.

    Row i adds its terms `starts[i]` to `starts[i + 1]`, each (in, layers x r) and, layer by layer, (r, out).
    """

    terms: int  # the table's address: int64 (terms, _FIELDS); a term that does not act here has no `down`
    starts: Tensor  # (rows + 1,)
    outs: Tensor  # (layers,)
    add: Callable[[Tensor, Tensor, Placed], None]
    held: tuple[Tensor, ...]  # what `terms` leads to, which must outlive it

    @property
    def tensors(self) -> list[Tensor]:
        """What is read."""
        return [self.starts, self.outs, *self.held]

    def add_(self, x: Tensor, output: Tensor) -> None:
        """Add what x (rows, time, in) is to each row's own adapters to output (rows, time, out), in place."""
        self.add(x, output, self)


@dataclass(frozen=True, slots=True)
class _Packed:
    """One adapter laid out: a row of `_FIELDS` - 1 numbers for each joint, and all its matrices."""

    places: Tensor  # (joints, _FIELDS - 1)
    matrices: Tensor


class Placements:
    """Builds the table for a batch of adapters that fit the model; `Stacks` with the same joints does else.

    `add`: how what is `Placed` is added.
    """

    def __init__(
        self,
        linears: Mapping[str, nn.Linear],
        joints: Sequence[Sequence[str]],
        add: Callable[[Tensor, Tensor, Placed], None],
    ) -> None:
        self._linears, self._add = linears, add
        known = joints_of(linears, joints)
        self._joints = list(dict.fromkeys(joint_of(name, known, linears) for name in linears))
        self._outs = [torch.tensor(joint.outs) for joint in self._joints]
        self._packed: WeakKeyDictionary[LoraWeights, _Packed] = WeakKeyDictionary()

    def groups(self, rows: Sequence[Adapters]) -> Mapping[str, Sequence[Placed]]:
        """Return what acts, by the name of a joint's first layer."""
        packed = [self._pack(weights) for row in rows for weights, _ in row]
        if not packed:
            return {}
        starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
        strengths = torch.tensor([s for row in rows for _, s in row], dtype=torch.float64)
        table = torch.empty(len(self._joints), len(packed), _FIELDS, dtype=torch.int64)
        table[:, :, :-1] = torch.stack([each.places for each in packed], dim=1)
        table[:, :, -1] = strengths.view(torch.int64)
        held, size = (table, *(each.matrices for each in packed)), table[0].nbytes
        return {
            self._joints[i].names[0]: [
                Placed(table.data_ptr() + i * size, starts, self._outs[i], self._add, held)
            ]
            for i in table[:, :, 0].any(dim=1).nonzero().flatten().tolist()
        }

    def for_prompts(self) -> Placements:
        """Return what gives the groups of prompts, which are read at the same time: the same."""
        return self

    def _pack(self, weights: LoraWeights) -> _Packed:
        if (found := self._packed.get(weights)) is None:
            found = self._packed[weights] = self._laid_out(weights)
        return found

    def _laid_out(self, weights: LoraWeights) -> _Packed:
        """Lay an adapter out; what a joint lacks, or has of a smaller rank, is zeros."""
        modules = weights.modules
        ranks = [
            max((modules[n][0].shape[1] for n in j.names if n in modules), default=0) for j in self._joints
        ]
        sizes = [
            rank * (len(joint.names) * self._width(joint) + sum(joint.outs))
            for joint, rank in zip(self._joints, ranks, strict=True)
        ]
        rooms = [-(-size // _ALIGNED) * _ALIGNED for size in sizes]
        dtype = torch.bfloat16 if weights.is_short else torch.float32
        matrices, at = torch.zeros(sum(rooms), dtype=dtype), 0
        places = torch.zeros(len(self._joints), _FIELDS - 1, dtype=torch.int64)
        for i, (joint, rank, room) in enumerate(zip(self._joints, ranks, rooms, strict=True)):
            if rank:
                down, up = self._fill(matrices[at : at + room], joint, rank, modules)
                places[i] = torch.tensor([down, up, rank, 8 * dtype.itemsize])
            at += room
        return _Packed(places, matrices)

    def _fill(
        self, room: Tensor, joint: Joint, rank: int, modules: dict[str, tuple[Tensor, Tensor]]
    ) -> tuple[int, int]:
        """Lay out what an adapter has of a joint; return where down and up lie.

        The adapter's own matrices become views of that, so that memory holds them once.
        """
        columns, width = len(joint.names) * rank, self._width(joint)
        down, at = room[: columns * width].view(width, columns), columns * width
        first = room[at:].data_ptr()
        for layer, (name, out) in enumerate(zip(joint.names, joint.outs, strict=True)):
            if name in modules:
                given = modules[name]
                own_down = down[:, layer * rank : layer * rank + len(given[1])]
                own_up = room[at : at + given[1].numel()].view_as(given[1])
                modules[name] = own_down.copy_(given[0]), own_up.copy_(given[1])
            at += rank * out
        return down.data_ptr(), first

    def _width(self, joint: Joint) -> int:
        return self._linears[joint.names[0]].in_features
