"""The rows that are being answered, one token each in every step, and the prompts that become rows.

Knows nothing of queues, threads or what a row's tokens mean. A row's place changes when another row
leaves; `rows[i]` is always row i of the logits that `step` returns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.engine.answer import Answer
from personalization.engine.cache import RowCache
from personalization.engine.fused import fused
from personalization.engine.prefix import PrefixCache
from personalization.engine.reading import Reading, readings
from personalization.engine.replay import Capture, Replay
from personalization.engine.states import RunningStates
from personalization.engine.weights import Form
from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row


class Batch:
    """Up to `max_rows` answers in one forward pass; what finished ones read is kept for the next turn."""

    def __init__(
        self,
        base: BaseModel,
        *,
        max_rows: int,
        cache_tokens: int,
        prefix_bytes: int = 0,
        weights: Form = "exact",
        is_compiled: bool = False,
        capture: Capture | None = None,
    ) -> None:
        self._base = base
        self._fused = fused(base, weights, is_compiled=is_compiled)
        # Weights in int8 are for few rows: prompts are read with the model's own.
        self._reader = self._fused if weights == "exact" else None
        self._replay = Replay(base, self._fused, max_rows, capture) if self._fused and capture else None
        self._interventions = Interventions(
            base,
            is_still=self._replay is not None,
            built=None if self._fused is None else self._fused.built,
        )
        self.states = RunningStates(base, max_rows=max_rows)
        self._cache = RowCache(
            len(base.layers), max_rows=max_rows, max_tokens=cache_tokens, device=base.device
        )
        self.prefixes = PrefixCache(prefix_bytes)
        self.rows: list[Answer] = []
        self.reading: list[Reading] = []

    @property
    def under_way(self) -> list[Answer]:
        """Every answer that has a row, or will have one when its prompt was read."""
        return [*self.rows, *(answer for reading in self.reading for answer in reading.answers)]

    def check(self, row: Row) -> None:
        """Raise ModelError when what a row carries does not fit the model."""
        self._interventions.check(row)

    def begin(self, answers: Sequence[Answer], tokens: int) -> None:
        """Put new answers among those whose prompts are being read, by passes of so many tokens."""
        self.reading += readings(answers, self.prefixes, tokens, self._base.device)

    def read(self, reading: Reading, tokens: int) -> Tensor | None:
        """Read up to so many tokens of these prompts, in one pass.

        At their end the answers become rows and their logits (answers, vocabulary) are returned; else None.
        """
        reading.advance(self._read, tokens)
        if not reading.is_done:
            return None
        self._interventions.prompts_read()
        logits = reading.logits(self._base)
        self._cache.append(reading.past, [len(answer.prompt) for answer in reading.answers], reading.place)
        self.states.join(len(reading.answers))
        self.rows += reading.answers
        return logits

    def _read(self, ids: Tensor, rows: Sequence[Row], past: DynamicCache) -> Tensor:
        if self._reader is not None:
            plan = self._interventions.plan(rows, self._reader.joints, prompts=True)
            return self._reader.read(ids, plan, past)
        with self._interventions.rows(rows, prompts=True):
            output = self._base.decoder(input_ids=ids, past_key_values=past, use_cache=True)
        return torch.as_tensor(output.last_hidden_state)

    def step(self) -> Tensor:
        """Read every row's last token; return the logits for the next (rows, vocabulary)."""
        cache = self._cache
        cache.ready()
        ids = torch.tensor([[answer.last_token] for answer in self.rows], device=self._base.device)
        rows = [answer.row for answer in self.rows]
        if self._fused is not None:
            if self._replay is not None:
                rows += [Row()] * (self._replay.rows(cache) - len(rows))
            plan = self._interventions.plan(rows, self._fused.joints)
            logits, seen = (self._replay or self._fused).step(ids, plan, cache, self.states.layers)
            self.states.add(seen)
            cache.grown()
            return logits
        with self.states.listening(), self._interventions.rows(rows):
            output = self._base.decoder(
                input_ids=ids,
                attention_mask=cache.mask(self._base.model.dtype),
                position_ids=cache.lengths[:, None],
                past_key_values=cache.past,
                use_cache=True,
            )
        cache.grown()
        return self._base.logits(output.last_hidden_state[:, -1])

    def leave(self, answer: Answer, *, broken: bool = False) -> None:
        """Take a row out; the last one takes its place."""
        place = self.rows.index(answer)
        if not broken and answer.row == Row():
            answer.states = self.states.of(place)
        if not (broken or answer.is_deleted):
            tokens = [*answer.prompt, *answer.drawn][: self._cache.length(place)]
            self.prefixes.keep(answer.key, tokens, lambda: self._cache.row(place))
        if answer.is_deleted:
            self._forget_acting()
        self._cache.remove(place, scrub=broken)
        self.states.leave(place)
        last = self.rows.pop()
        if last is not answer:
            self.rows[place] = last

    def forget(self, names: Collection[str]) -> None:
        """Drop what was kept of these owners and with these artifacts; rows go on."""
        self.prefixes.forget(names)
        self._forget_acting()

    def _forget_acting(self) -> None:
        """Drop adapters and vectors as the step reads them: they are put together again for who is left."""
        self._interventions.remove()
        if self._replay is not None:
            self._replay.forget()

    def clear(self) -> None:
        """Forget every row."""
        self.rows = []
        self.states.clear()
        self._cache.clear()


def supported_context(base: BaseModel) -> int:
    """Return how many tokens a row may have. Raises ModelError for an architecture that rows cannot share."""
    config = base.model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds - {"full_attention", "sliding_attention"} or getattr(config, "attn_logit_softcapping", None):
        raise ModelError(
            f"The local engine cannot serve {base.name}: it needs plain attention layers, and these are "
            f"{', '.join(sorted(kinds))}. Serve it with another engine (ALIGN_ENGINE)."
        )
    # Inside of its window a sliding layer sees everything, so rows stay within it.
    window = getattr(config, "sliding_window", None) if "sliding_attention" in kinds else None
    return min(base.context_length, window or base.context_length)


def bytes_per_token(base: BaseModel) -> int:
    """Return what one token of one row takes in the cache."""
    config = base.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * len(base.layers) * heads * width * base.model.dtype.itemsize)
