"""Continue an answer with the base model, a piece at a time, for `personalization.decoding.ahead`.

One beginning at a time in a cache of its own: for measuring, not for serving many people at once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from personalization.decoding.ahead import Beginning
from personalization.decoding.objectives import Candidate
from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat
from personalization.records import Message
from personalization.steering.instant import layers_of


@dataclass(frozen=True, kw_only=True)
class _Held(Beginning):
    """A beginning with what the model keeps of it."""

    tokens: tuple[int, ...]
    cache: DynamicCache
    following: Tensor  # logits (vocabulary,)
    sums: Tensor  # of the states of the tokens that were read (layers, hidden)


class Writer:
    """Writes answers to one chat; calling it continues a beginning that it returned."""

    def __init__(self, base: BaseModel, messages: Sequence[Message], *, temperature: float = 1.0) -> None:
        self._base, self._temperature = base, temperature
        self._layers = layers_of(len(base.layers))
        self._prompt = encode_chat(base, messages)
        self._start: _Held | None = None

    @torch.no_grad()
    def __call__(self, beginning: Beginning | None, seed: int, tokens: int) -> Beginning:
        """Return the beginning with up to so many sampled tokens more; without one, start anew."""
        held = self._begun() if beginning is None else beginning
        assert isinstance(held, _Held)  # one that this writer returned
        generator = torch.Generator().manual_seed(seed)
        cache, logits, sums = copy.deepcopy(held.cache), held.following, held.sums
        drawn, ended = list(held.tokens), False
        for _ in range(tokens):
            chances = (logits / self._temperature).softmax(dim=-1).cpu()
            token = int(torch.multinomial(chances, 1, generator=generator))
            if token in self._base.end_ids:
                ended = True
                break
            drawn.append(token)
            logits, states = self._read(cache, [token])
            sums = sums + states
        text = str(self._base.tokenizer.decode(drawn, skip_special_tokens=True))
        means = (sums / len(drawn)).cpu().numpy() if drawn else None
        return _Held(
            Candidate(text, len(drawn), means),
            ended,
            tokens=tuple(drawn),
            cache=cache,
            following=logits,
            sums=sums,
        )

    def _begun(self) -> _Held:
        if self._start is None:
            cache = DynamicCache(config=self._base.model.config)
            logits, states = self._read(cache, self._prompt)
            self._start = _Held(
                Candidate("", 0), tokens=(), cache=cache, following=logits, sums=torch.zeros_like(states)
            )
        return self._start

    def _read(self, cache: DynamicCache, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the logits for what comes next, and the last token's states (layers, hidden)."""
        outputs: list[Tensor] = []

        def hook(_: nn.Module, __: object, output: object) -> None:
            held = output[0] if isinstance(output, tuple) else output
            assert isinstance(held, Tensor)
            outputs.append(held[0, -1].float())

        handles = [self._base.layers[layer].register_forward_hook(hook) for layer in self._layers]
        try:
            ids = torch.tensor([list(tokens)], device=self._base.device)
            output = self._base.decoder(input_ids=ids, past_key_values=cache, use_cache=True)
        finally:
            for handle in handles:
                handle.remove()
        return self._base.logits(output.last_hidden_state[0, -1]).float(), torch.stack(outputs)
