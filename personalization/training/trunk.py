"""What the layers below an adapter make of the training texts: computed once, not at every step.

An adapter on the upper layers leaves the lower ones as they are, so their output for a text is the same
throughout a run. Knows nothing of losses. A model whose decoder does more with its input than pass it through
its layers (one that scales embeddings, say) is found out by comparison, and is then read from the bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from personalization.models.base import BaseModel
from personalization.training.packed import ALIKE, Text, decoded_row, packable

MOST_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Trunk:
    """The output of layer `first - 1` for each text, in their order."""

    first: int
    texts: Sequence[Text] = field(repr=False)

    @classmethod
    def of(cls, base: BaseModel, texts: Sequence[Text], first: int) -> Trunk | None:
        """Read every text of ids up to layer `first`; None where that is of no use, or of too many bytes."""
        tokens = sum(len(text.given) for text in texts)
        if first < 1 or not texts or tokens * base.hidden_size * base.model.dtype.itemsize > MOST_BYTES:
            return None
        found = cls(first, [text.with_states(_below(base, text, first)) for text in texts])
        return found if found._gives_the_same(base, texts[0]) else None

    @torch.no_grad()
    def _gives_the_same(self, base: BaseModel, text: Text) -> bool:
        """Compare at a text's beginning, which is read like any text."""
        ids, states = (Text(some.given[: text.head], text.head) for some in (text, self.texts[0]))
        whole = decoded_above(base, [ids], 0).float()
        gap = (decoded_above(base, [states], self.first).float() - whole).square().mean().sqrt()
        return bool(gap < ALIKE * whole.square().mean().sqrt())


def decoded_above(base: BaseModel, texts: Sequence[Text], first: int) -> Tensor:
    """Return the decoder's output for all texts, one after the other: (tokens, hidden).

    Each holds what layer `first - 1` made of it, or for `first` 0 its ids.
    """
    read = _reader(base)
    with _layers(base, slice(first, None)):
        return read(base, texts)


def _reader(base: BaseModel) -> Callable[[BaseModel, Sequence[Text]], Tensor]:
    """Return how this model reads texts; all of its layers find that out, so not inside `_layers`."""
    return decoded_row if packable(base) else _decoded_padded


def _decoded_padded(base: BaseModel, texts: Sequence[Text]) -> Tensor:
    padded = nn.utils.rnn.pad_sequence([text.given for text in texts], batch_first=True)
    key = "input_ids" if padded.dim() == 2 else "inputs_embeds"
    output: Tensor = base.decoder(**{key: padded}, use_cache=False).last_hidden_state
    return torch.cat([output[i, : len(text.given)] for i, text in enumerate(texts)])


@torch.no_grad()
def _below(base: BaseModel, text: Text, first: int) -> Tensor:
    found: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        found.append((output[0] if isinstance(output, tuple) else output)[0])

    read = _reader(base)
    handle = base.layers[first - 1].register_forward_hook(keep)
    try:
        with _layers(base, slice(0, first)):
            read(base, [text])
    finally:
        handle.remove()
    return found[0]


@contextmanager
def _layers(base: BaseModel, part: slice) -> Iterator[None]:
    """Let the decoder have only these layers inside."""
    decoder: Any = base.decoder
    whole = decoder.layers
    if part == slice(0, None):
        yield
        return
    decoder.layers = nn.ModuleList(list(whole)[part])
    try:
        yield
    finally:
        decoder.layers = whole
