"""What the layers below an adapter make of the training texts: computed once, not at every step.

An adapter on the upper layers leaves the lower ones as they are, so their output for a text is the same
throughout a run. Knows nothing of losses. A model whose decoder does more with its input than pass it through
its layers (one that scales embeddings, say) is found out by comparison, and is then read from the bottom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from personalization.models.base import BaseModel

MOST_BYTES = 4 * 2**30
ALIKE = 1e-2  # of the root mean square: bfloat16 rounds to 4e-3


@dataclass(frozen=True)
class Trunk:
    """The output of layer `first - 1` for each token sequence, (tokens, hidden), in their order."""

    first: int
    states: Sequence[Tensor] = field(repr=False)

    @classmethod
    def of(cls, base: BaseModel, texts: Sequence[Sequence[int]], first: int) -> Trunk | None:
        """Read every text up to layer `first`; None where that is of no use or does not fit in memory."""
        size = sum(map(len, texts)) * base.hidden_size * base.model.dtype.itemsize
        if first < 1 or not texts or size > MOST_BYTES:
            return None
        found = cls(first, [_below(base, text, first) for text in texts])
        return found if found._gives_the_same(base, texts[0]) else None

    def hidden(self, base: BaseModel, indices: Sequence[int]) -> Tensor:
        """Return the decoder's output for these texts, padded on the right: (texts, longest, hidden)."""
        return decoded_above(base, [self.states[i] for i in indices], self.first)

    @torch.no_grad()
    def _gives_the_same(self, base: BaseModel, text: Sequence[int]) -> bool:
        ids = torch.tensor([list(text)], device=base.device)
        whole: Tensor = base.decoder(input_ids=ids, use_cache=False).last_hidden_state.float()
        gap = (self.hidden(base, [0]).float() - whole).square().mean().sqrt()
        return bool(gap < ALIKE * whole.square().mean().sqrt())


def decoded_above(base: BaseModel, given: Sequence[Tensor], first: int) -> Tensor:
    """Return the decoder's output for texts, padded on the right: (texts, longest, hidden).

    Each is what layer `first - 1` made of it (tokens, hidden), or for `first` 0 its ids (tokens,).
    """
    padded = nn.utils.rnn.pad_sequence(list(given), batch_first=True)
    if first == 0:
        whole: Tensor = base.decoder(input_ids=padded, use_cache=False).last_hidden_state
        return whole
    with _layers(base, slice(first, None)):
        output: Tensor = base.decoder(inputs_embeds=padded, use_cache=False).last_hidden_state
    return output


@torch.no_grad()
def _below(base: BaseModel, text: Sequence[int], first: int) -> Tensor:
    found: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        found.append((output[0] if isinstance(output, tuple) else output)[0])

    handle = base.layers[first - 1].register_forward_hook(keep)
    try:
        with _layers(base, slice(0, first)):
            base.decoder(input_ids=torch.tensor([list(text)], device=base.device), use_cache=False)
    finally:
        handle.remove()
    return found[0]


@contextmanager
def _layers(base: BaseModel, part: slice) -> Iterator[None]:
    """Let the decoder have only these layers inside."""
    decoder: Any = base.decoder
    whole = decoder.layers
    decoder.layers = nn.ModuleList(list(whole)[part])
    try:
        yield
    finally:
        decoder.layers = whole
