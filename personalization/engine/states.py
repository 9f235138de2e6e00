"""Sum up what a few layers hold for each answer token that a batch reads, at no pass of their own.

Knows nothing of requests or of what the sums are for. Row i of the sums is row i of the batch. A token's
state exists once it was read, so the last one drawn, which nothing reads, is never in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.records import Message
from personalization.steering.capture import layer_outputs, mean_states
from personalization.steering.instant import MeanStates, layers_of


class RunningStates:
    """The sums (rows, layers, hidden), float32, and how many tokens are in each."""

    def __init__(self, base: BaseModel, *, max_rows: int) -> None:
        self._base = base
        self.layers = layers_of(len(base.layers))
        self._sums = torch.zeros(max_rows, len(self.layers), base.hidden_size, device=base.device)
        self._counts = [0] * max_rows
        self._rows = 0

    def join(self, count: int) -> None:
        """Add rows that have read nothing of their answer yet."""
        self._sums[self._rows : self._rows + count] = 0
        self._counts[self._rows : self._rows + count] = [0] * count
        self._rows += count

    def leave(self, place: int) -> None:
        """Take a row out; the last one takes its place."""
        last = self._rows = self._rows - 1
        self._sums[place] = self._sums[last]
        self._counts[place] = self._counts[last]

    def clear(self) -> None:
        """Forget every row."""
        self._rows = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Add what the forward pass inside, of one token of every row, gives."""
        with layer_outputs(self._base, self.layers) as outputs:
            yield
        self.add([outputs[layer] for layer in self.layers])

    def add(self, outputs: Sequence[Tensor]) -> None:
        """Add what each of `layers` gave for one token of every row, (rows, 1, hidden)."""
        self._sums[: self._rows] += torch.stack([output[:, 0] for output in outputs], dim=1).float()
        for row in range(self._rows):
            self._counts[row] += 1

    def of(self, place: int) -> MeanStates | None:
        """Return a row's means; None before anything of its answer was read."""
        if not (count := self._counts[place]):
            return None
        means = (self._sums[place] / count).cpu().numpy()
        return MeanStates(self.layers, means, count)


def read(base: BaseModel, messages: Sequence[Message], text: str) -> MeanStates:
    """Return the same for a text, in a pass of its own. Raises ValueError for a text without tokens."""
    items = Completions.encode(base, [(messages, text)])
    (answer,) = items.answers
    tokens = answer[:-1] if answer[-1] == base.end_of_turn else answer
    if not tokens:
        raise ValueError("An answer without a token has no states.")
    layers = layers_of(len(base.layers))
    states = mean_states(base, Completions(items.prompts, (tokens,)))
    return MeanStates(layers, states[0, list(layers)].numpy(), len(tokens))
