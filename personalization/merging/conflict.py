"""How far adapters pull in different directions, before they are merged: per layer, for every two of them.

Knows nothing of ways to merge. Cosine and overlap are computed of the factors; only signs need the matrices.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from personalization.merging.changes import Change, Triples, singular

_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two adapters in one layer, each a mean over the layer's weights that both change.

    `cosine` of the weight changes, -1 to 1. `sign_conflict`: the share of what both change, entry by entry
    the smaller of both sizes, that goes in opposite directions; unrelated changes have one half. `overlap`:
    the share of the smaller one's input and output directions that the other one uses, 0 to 1.
    """

    layer: int
    first: int
    second: int
    cosine: float
    sign_conflict: float
    overlap: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, JSON-ready."""
        return asdict(self)


def conflicts(adapters: Sequence[Mapping[str, Change]]) -> list[Conflict]:
    """Return every two adapters' conflict in every layer that both change, by layer; `first` < `second`."""
    found: dict[tuple[int, int, int], list[tuple[float, float, float]]] = defaultdict(list)
    for name in sorted(set().union(*adapters)):
        own = {i: adapter[name] for i, adapter in enumerate(adapters) if name in adapter}
        triples = {i: singular(change) for i, change in own.items()}
        dense = {i: change.dense() for i, change in own.items()}
        for a, b in combinations(own, 2):
            size = own[a].norm() * own[b].norm()
            if size:
                measured = (
                    own[a].inner(own[b]) / size,
                    _sign_conflict(dense[a], dense[b]),
                    _overlap(triples[a], triples[b]),
                )
                found[layer_of(name), a, b].append(measured)
    return [
        Conflict(*key, *(sum(column) / len(column) for column in zip(*rows, strict=True)))
        for key, rows in sorted(found.items())
    ]


def layer_of(name: str) -> int:
    """Return the number of the layer that a weight lies in, -1 where its name holds none."""
    found = _LAYER.search(name)
    return int(found[1]) if found else -1


def _sign_conflict(first: Tensor, second: Tensor) -> float:
    both = torch.minimum(first.abs(), second.abs())
    total = float(both.sum())
    return float(both[first * second < 0].sum()) / total if total else 0.0


def _overlap(first: Triples, second: Triples) -> float:
    """Return the mean squared cosine of the principal angles, over input and output spaces."""
    fewer = min(len(first.values), len(second.values))
    left = float((first.left.T @ second.left).square().sum())
    right = float((first.right @ second.right.T).square().sum())
    return min(1.0, (left + right) / (2 * fewer)) if fewer else 0.0
