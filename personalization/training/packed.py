"""Texts read as one row without padding, and what several of them begin with read once.

A prompt and the answers to it are one text with branches: every token sees the beginning and its own branch
up to itself, at the positions that it would have in a text of its own. Numbers are those of reading each
alone, to rounding. A model whose attention is more than that (a window, a bias) is found out, and is then
read text by text, padded. Knows nothing of losses or adapters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from personalization.models.base import BaseModel

ALIKE = 1e-2  # of the root mean square: bfloat16 rounds to 4e-3
_ATTENTION = "alignapp-packed"
_PROBE = (7, (5, 3))  # a beginning and branches, for finding out whether a model can be read so

_row: ContextVar[Sequence[Text]] = ContextVar("row")
_packable: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Text:
    """A beginning of `head` tokens and branches of these lengths.

    `given` holds them one after the other: ids (tokens,) or what a layer made of them (tokens, hidden).
    """

    given: Tensor = field(repr=False)
    head: int
    branches: tuple[int, ...] = ()

    def with_states(self, states: Tensor) -> Text:
        """Return the same tokens as a layer has them: (tokens, hidden)."""
        return Text(states, self.head, self.branches)

    def positions(self) -> list[int]:
        """Return where each token stands in its own text."""
        found = list(range(self.head))
        for length in self.branches:
            found += range(self.head, self.head + length)
        return found

    def before(self, branch: int) -> list[int]:
        """Return the places, in this text, of the token before each token of a branch."""
        begin = self.head + sum(self.branches[:branch])
        return [self.head - 1, *range(begin, begin + self.branches[branch] - 1)]


def packable(base: BaseModel) -> bool:
    """Say whether this model reads a row as it reads each text alone; found out once."""
    if base.model not in _packable:
        _packable[base.model] = not getattr(base.decoder.config, "sliding_window", None) and _alike(base)
    return _packable[base.model]


def decoded_row(base: BaseModel, texts: Sequence[Text]) -> Tensor:
    """Return a packable model's decoder's output for all texts, one after the other: (tokens, hidden)."""
    given = torch.cat([text.given for text in texts])[None]
    positions = torch.tensor([[p for text in texts for p in text.positions()]], device=base.device)
    key = "input_ids" if given.dim() == 2 else "inputs_embeds"
    with _attending(base, texts):
        output: Tensor = base.decoder(
            **{key: given}, position_ids=positions, use_cache=False
        ).last_hidden_state
    return output[0]


@contextmanager
def _attending(base: BaseModel, texts: Sequence[Text]) -> Iterator[None]:
    config: Any = base.decoder.config
    usual, token = config._attn_implementation, _row.set(texts)
    config._attn_implementation = _ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = usual
        _row.reset(token)


def _attend(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Let every branch see the beginning and itself. Tensors are (1, heads, tokens, width of a head)."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    found, texts = [], _row.get()
    # The first branch stands where it would in a text of its own.
    sizes = [size for text in texts for size in (text.head + sum(text.branches[:1]), *text.branches[1:])]
    # Split at once: each slice's gradient would be as long as the whole row, which many people share.
    parts = zip(*(each.split(sizes, dim=2) for each in (query, key, value)), strict=True)
    for text in texts:
        asked, seen, held = next(parts)
        found.append(scaled_dot_product_attention(asked, seen, held, is_causal=True, scale=scaling))
        for length in text.branches[1:]:
            asked, own_key, own_value = next(parts)
            sees = torch.ones(length, text.head + length, dtype=torch.bool, device=query.device)
            found.append(
                scaled_dot_product_attention(
                    asked,
                    torch.cat([seen[:, :, : text.head], own_key], dim=2),
                    torch.cat([held[:, :, : text.head], own_value], dim=2),
                    attn_mask=sees.tril(text.head),
                    scale=scaling,
                )
            )
    return torch.cat(found, dim=2).transpose(1, 2), None


AttentionInterface.register(_ATTENTION, _attend)


@torch.no_grad()
def _alike(base: BaseModel) -> bool:
    """Read texts that share a beginning both ways and compare."""
    head, branches = _PROBE
    ids = torch.arange(1, head + sum(branches) + 1, device=base.device)
    text = Text(ids, head, branches)
    try:
        row = decoded_row(base, [text, text]).float()
    except (TypeError, KeyError, AttributeError, RuntimeError):  # a decoder of another kind
        return False
    begin = head
    for length in branches:
        own = torch.cat([ids[:head], ids[begin : begin + length]])[None]
        alone = base.decoder(input_ids=own, use_cache=False).last_hidden_state[0].float()
        places = [*range(head), *range(begin, begin + length)]
        for at in (places, [len(ids) + place for place in places]):
            if not (row[at] - alone).square().mean().sqrt() < ALIKE * alone.square().mean().sqrt():
                return False
        begin += length
    return True
