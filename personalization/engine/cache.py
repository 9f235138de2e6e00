"""Keys and values of a batch whose rows differ in length, in place.

Knows nothing of requests or sampling. Row i's tokens lie at 0..length-1 of its slot, so nothing is
padded on the left and nothing moves from step to step. The last row fills the hole that a leaving
row makes. Space grows in steps, never beyond what was allowed, and is given back when the batch is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin

_LENGTH_STEP = 64


class Past(Protocol):
    """Where a pass writes its keys and values, layer by layer."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, /) -> tuple[Tensor, Tensor]:
        """Write those of new tokens; return all that these tokens may look at."""


class Held(Protocol):
    """What a step reads: each row's length, what is held of it, and where its next token may look."""

    @property
    def lengths(self) -> Tensor: ...

    @property
    def past(self) -> Past: ...

    def mask(self, dtype: torch.dtype) -> Tensor: ...


def visible(lengths: Tensor, space: int, dtype: torch.dtype) -> Tensor:
    """Return 0 where a row's next token may look and -inf elsewhere, (rows, 1, 1, space)."""
    seen = torch.arange(space, device=lengths.device) <= lengths[:, None]
    return torch.where(seen, 0.0, -torch.inf).to(dtype)[:, None, None]


class _Layer(CacheLayerMixin):
    """One decoder layer's keys and values (slots, heads, space, width), shared by all rows."""

    is_sliding = False

    def __init__(self, batch: RowCache) -> None:
        super().__init__()
        self._batch = batch

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write one token of each row at the row's end; return what all rows hold."""
        batch, keys, values = self._batch, self.keys, self.values
        assert keys is not None
        assert values is not None
        n, longest = batch.count, batch.longest + 1
        keys[batch.rows, :, batch.lengths] = key_states[:, :, 0]
        values[batch.rows, :, batch.lengths] = value_states[:, :, 0]
        return keys[:n, :, :longest], values[:n, :, :longest]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: `RowCache.append` makes the space."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many keys a query sees, and from where."""
        return self._batch.longest + query_length, 0

    def get_seq_length(self) -> int:
        """Return the longest row's length."""
        return self._batch.longest

    def get_max_length(self) -> int:
        """Return -1: space grows."""
        return -1


class RowCache:
    """The cache of up to `max_rows` rows; `past` is what the model takes.

    It holds space for at most `max_tokens` tokens, those that are free included; for more only where all rows
    at the longest one's length need it.
    """

    def __init__(self, layers: int, *, max_rows: int, max_tokens: int, device: torch.device) -> None:
        self._max_rows, self._max_tokens = max_rows, max_tokens
        self._device = device
        self._space = (0, 0)  # slots, tokens each
        self._layers = [_Layer(self) for _ in range(layers)]
        self.past = Cache(layers=list(self._layers))
        self._host_lengths: list[int] = []
        self._refresh()

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._host_lengths)

    @property
    def slots(self) -> int:
        """How many rows there is space for now."""
        return self._space[0]

    def _refresh(self) -> None:
        self.longest = max(self._host_lengths, default=0)
        self.lengths = torch.tensor(self._host_lengths, dtype=torch.long, device=self._device)
        self.rows = torch.arange(self.count, device=self._device)

    def append(self, past: DynamicCache, lengths: Sequence[int], place: Sequence[int]) -> None:
        """Add rows that were computed together, padded on the right: row i is row `place[i]` of `past`.

        What `past` holds is given back layer by layer.
        """
        first, at = self.count, torch.tensor(place, device=self._device)
        self._make_room(first + len(lengths), max(self.longest, *lengths) + 1, past)
        for layer, read in zip(self._layers, past.layers, strict=True):
            assert isinstance(read, CacheLayerMixin)
            for mine, theirs in ((layer.keys, read.keys), (layer.values, read.values)):
                assert mine is not None
                assert theirs is not None
                mine[first : first + len(lengths), :, : theirs.shape[2]] = theirs[at]
            read.keys = read.values = None
        self._host_lengths += lengths
        self._refresh()

    def grown(self) -> None:
        """Count the token that every row just wrote."""
        self._host_lengths = [length + 1 for length in self._host_lengths]
        self.longest += 1
        self.lengths += 1

    def ready(self) -> None:
        """Make room for one more token in every row."""
        self._make_room(self.count, self.longest + 1, None)

    def space(self, rows: int) -> list[tuple[Tensor, Tensor]]:
        """Return each layer's keys and values of the first rows, (rows, heads, space, width), free or not."""
        found = []
        for layer in self._layers:
            assert layer.keys is not None
            assert layer.values is not None
            found.append((layer.keys[:rows], layer.values[:rows]))
        return found

    def length(self, row: int) -> int:
        """Return how many tokens a row holds."""
        return self._host_lengths[row]

    def row(self, row: int) -> Tensor:
        """Return a copy of what a row holds: (2 x layers, heads, length, width)."""
        length = self._host_lengths[row]
        held = [each for layer in self._layers for each in (layer.keys, layer.values)]
        return torch.stack([each[row, :, :length] for each in held if each is not None])

    def remove(self, row: int, *, scrub: bool = False) -> None:
        """Take a row out; the last row takes its place. `scrub` wipes what a broken row (NaN) wrote."""
        last = self.count - 1
        length = self._host_lengths[last]
        for layer in self._layers:
            for held in (layer.keys, layer.values):
                assert held is not None
                if scrub:
                    held[row] = 0
                if row != last:
                    held[row, :, :length] = held[last, :, :length]
        self._host_lengths[row] = length
        self._host_lengths.pop()
        if not self._host_lengths:
            self.clear()
        self._refresh()

    def clear(self) -> None:
        """Forget every row and give the space back."""
        self._host_lengths = []
        self._space = (0, 0)
        for layer in self._layers:
            layer.keys = layer.values = None
        self._refresh()

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Return what the next token of each row may look at: (rows, 1, 1, longest + 1), 0 or -inf."""
        return visible(self.lengths, self.longest + 1, dtype)

    def _make_room(self, rows: int, tokens: int, like: DynamicCache | None) -> None:
        slots, space = self._space
        if rows <= slots and tokens <= space:
            return
        slots = min(self._max_rows, max(rows, 2 * slots)) if rows > slots else slots
        space = -(-tokens // _LENGTH_STEP) * _LENGTH_STEP if tokens > space else space
        # What is only for later, or was for who has left, does not go beyond the limit.
        slots = max(rows, min(slots, self._max_tokens // tokens))
        space = max(tokens, min(space, self._max_tokens // slots))
        for layer, pattern in zip(self._layers, self._layers if like is None else like.layers, strict=True):
            assert isinstance(pattern, CacheLayerMixin)
            layer.keys = self._moved(layer.keys, pattern.keys, slots, space)
            layer.values = self._moved(layer.values, pattern.values, slots, space)
        self._space = (slots, space)

    def _moved(self, old: Tensor | None, pattern: Tensor | None, slots: int, space: int) -> Tensor:
        assert pattern is not None
        # Zeros, not garbage: a NaN would pass through the mask.
        new = pattern.new_zeros(slots, pattern.shape[1], space, pattern.shape[3])
        if old is not None:
            new[: self.count, :, : self.longest] = old[: self.count, :, : self.longest]
        return new
