"""Continue answers with the base model, a piece at a time, for `personalization.decoding.ahead`.

The beginnings of one prompt in one batch: for measuring, not for serving many people at once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.decoding.ahead import Beginning
from personalization.decoding.objectives import Candidate
from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat
from personalization.records import Message
from personalization.steering.capture import layer_outputs
from personalization.steering.instant import layers_of


@dataclass(frozen=True, eq=False)
class _Batch:
    """What the model keeps of texts of one length, row by row."""

    cache: DynamicCache
    following: Tensor  # logits (rows, vocabulary)
    sums: Tensor  # of the states of the tokens that were read (rows, layers, hidden)


@dataclass(frozen=True, kw_only=True)
class _Held(Beginning):
    """A beginning, and where what the model keeps of it lies."""

    tokens: tuple[int, ...]
    batch: _Batch
    row: int


class Writer:
    """Writes answers to one chat; calling it continues beginnings that the same call returned."""

    def __init__(self, base: BaseModel, messages: Sequence[Message], *, temperature: float = 1.0) -> None:
        self._base, self._temperature = base, temperature
        self._layers = layers_of(len(base.layers))
        self._prompt = encode_chat(base, messages)
        self._start: _Held | None = None

    @torch.no_grad()
    def __call__(
        self, beginnings: Sequence[Beginning | None], seeds: Sequence[int], tokens: int
    ) -> list[Beginning]:
        """Return each beginning with up to so many sampled tokens more; None starts anew.

        Raises ValueError for beginnings of several calls: they may differ in length.
        """
        held = [self._begun() if each is None else each for each in beginnings]
        known = [each for each in held if isinstance(each, _Held)]
        if len(known) < len(held) or len({id(each.batch) for each in known}) != 1:
            raise ValueError("Only beginnings that one call returned can be continued together.")
        batch = _rows_of(known[0].batch, [each.row for each in known])
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        drawn, ended = [list(each.tokens) for each in known], [False] * len(known)
        for _ in range(tokens):
            chances = (batch.following / self._temperature).softmax(dim=-1).cpu()
            next_tokens = [
                int(torch.multinomial(own, 1, generator=g)) for own, g in zip(chances, draws, strict=True)
            ]
            for row, token in enumerate(next_tokens):
                ended[row] = ended[row] or token in self._base.end_ids
                drawn[row] += [] if ended[row] else [token]
            if all(ended):
                break
            open_rows = torch.tensor([not each for each in ended], device=self._base.device)
            batch = self._read(batch, torch.tensor(next_tokens)[:, None], open_rows)
        return [
            _Held(
                self._candidate(drawn[row], batch.sums[row]),
                ended[row],
                tokens=tuple(drawn[row]),
                batch=batch,
                row=row,
            )
            for row in range(len(known))
        ]

    def _candidate(self, drawn: Sequence[int], sums: Tensor) -> Candidate:
        text = str(self._base.tokenizer.decode(list(drawn), skip_special_tokens=True))
        return Candidate(text, len(drawn), (sums / len(drawn)).cpu().numpy() if drawn else None)

    def _begun(self) -> _Held:
        if self._start is None:
            shape = (1, len(self._layers), self._base.hidden_size)
            nothing = _Batch(
                DynamicCache(config=self._base.model.config),
                torch.zeros(1, 1),
                torch.zeros(shape, device=self._base.device),
            )
            unread = torch.zeros(1, dtype=torch.bool, device=self._base.device)
            batch = self._read(nothing, torch.tensor([self._prompt]), unread)
            self._start = _Held(Candidate("", 0), tokens=(), batch=batch, row=0)
        return self._start

    def _read(self, batch: _Batch, tokens: Tensor, counted: Tensor) -> _Batch:
        """Read tokens (rows, count) after the batch; of `counted` rows the last one's states count."""
        with layer_outputs(self._base, self._layers) as outputs:
            output = self._base.decoder(
                input_ids=tokens.to(self._base.device), past_key_values=batch.cache, use_cache=True
            )
        last = torch.stack([outputs[layer][:, -1].float() for layer in self._layers], dim=1)
        states = last * counted[:, None, None]
        return _Batch(
            batch.cache, self._base.logits(output.last_hidden_state[:, -1]).float(), batch.sums + states
        )


def _rows_of(batch: _Batch, rows: Sequence[int]) -> _Batch:
    """Return a copy of these rows, each as often as it is named."""
    places = torch.tensor(rows, device=batch.sums.device)
    cache = copy.deepcopy(batch.cache)
    cache.batch_select_indices(places)
    return _Batch(cache, batch.following[places], batch.sums[places])
