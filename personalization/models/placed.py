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

# Of a term: where down and up lie, rank, bits of a number, which layers it acts on (a bit each), and strength
# (the bits of a float64).
_FIELDS = 6
_ALIGNED = 32  # numbers


@dataclass(frozen=True, slots=True)
class Placed:
    """What rows have of their own at one joint.

    Row i adds its terms `starts[i]` to `starts[i + 1]`: (in, their layers x r) and, layer by layer, (r, out).
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
        """Add what each row's own adapters make of x (rows, time, in) to output (rows, time, out), in place.

        Output is contiguous. Raises ModelError for another number of rows.
        """
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
        """Lay an adapter out. Its own matrices become views of that, so that memory holds them once."""
        dtype = torch.bfloat16 if weights.is_short else torch.float32
        places = torch.zeros(len(self._joints), _FIELDS - 1, dtype=torch.int64)
        parts = [
            _Part.of(joint, self._linears[joint.names[0]].in_features, weights) for joint in self._joints
        ]
        matrices, at = torch.zeros(sum(part.room for part in parts), dtype=dtype), 0
        for i, part in enumerate(parts):
            if part.names:
                down, up = part.fill(matrices[at : at + part.room], weights)
                acts_on = sum(1 << self._joints[i].names.index(name) for name in part.names)
                places[i] = torch.tensor([down, up, part.rank, 8 * dtype.itemsize, acts_on])
            at += part.room
        return _Packed(places, matrices)


@dataclass(frozen=True, slots=True)
class _Part:
    """What an adapter has of a joint: the layers that it acts on, all with the largest of their ranks."""

    names: tuple[str, ...]
    outs: tuple[int, ...]
    width: int
    rank: int

    @classmethod
    def of(cls, joint: Joint, width: int, weights: LoraWeights) -> _Part:
        names = tuple(name for name in joint.names if name in weights.modules)
        ups = [weights.modules[name][1] for name in names]
        return cls(names, tuple(up.shape[1] for up in ups), width, max(map(len, ups), default=0))

    @property
    def room(self) -> int:
        """Return how many numbers it takes."""
        size = self.rank * (len(self.names) * self.width + sum(self.outs))
        return -(-size // _ALIGNED) * _ALIGNED

    def fill(self, room: Tensor, weights: LoraWeights) -> tuple[int, int]:
        """Lay it out in zeros; return where its down and up lie."""
        columns = len(self.names) * self.rank
        down, at = room[: columns * self.width].view(self.width, columns), columns * self.width
        first = room[at:].data_ptr()
        for layer, (name, out) in enumerate(zip(self.names, self.outs, strict=True)):
            a, b = weights.modules[name]
            own_down = down[:, layer * self.rank : layer * self.rank + len(b)]
            own_up = room[at : at + b.numel()].view_as(b)
            weights.modules[name] = own_down.copy_(a), own_up.copy_(b)
            at += self.rank * out
        return down.data_ptr(), first
