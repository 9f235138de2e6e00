"""Value-augmented sampling: tilt the next token towards what a value function expects (Han et al. 2024).

arXiv:2405.06639. Of the `top_k` likeliest tokens each logit grows by beta (V(x, y token) - mean V); the
others are left out. Here V is a person's reward, which is linear in states, read at the token itself: the
mean over the answer is what the reward sees, so one token's part of it is its own state. The paper trains a
network with TD(lambda) for that; a linear head on states needs no training, and looks no further than the
token.

A token's state exists once the model read it, so one pass reads all `top_k` tokens side by side, each after
the same text and none of the others; what it left of the one that is drawn is kept, with the logits for what
follows. A token shown costs `top_k` read, in one pass. Knows nothing of batches or people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat
from personalization.records import Message
from personalization.steering.capture import layer_outputs
from personalization.steering.instant import layers_of
from personalization.steering.reward import Reward

TOP_K, BETA = 20, 3.0  # as published


@dataclass(frozen=True, slots=True)
class Written:
    """An answer and what it took: tokens that the model read or wrote for each one that is shown."""

    text: str
    token_count: int
    tokens_per_token: float


def tilted(logits: Tensor, values: Tensor, tokens: Tensor, beta: float) -> Tensor:
    """Return logits (vocabulary,) with `values` (k,) of `tokens` (k,) added as above, all others at -inf.

    With beta 0 nothing is tilted and nothing left out: the plain logits.
    """
    if beta == 0:
        return logits
    found = torch.full_like(logits, -torch.inf)
    found[tokens] = logits[tokens] + beta * (values - values.mean())
    return found


@torch.no_grad()
def write(
    base: BaseModel,
    messages: Sequence[Message],
    reward: Reward,
    *,
    beta: float = BETA,
    top_k: int = TOP_K,
    max_new_tokens: int = 96,
    temperature: float = 1.0,
    seed: int = 0,
) -> Written:
    """Return one sampled answer. With beta 0 it is the plain sample of the same seed, at the plain cost.

    Raises ModelError for a model whose attention does not reach back to every token.
    """
    generator = torch.Generator().manual_seed(seed)
    text = _Text(base, encode_chat(base, messages), reward)
    drawn: list[int] = []
    work = 0
    while len(drawn) < max_new_tokens:
        logits, values = text.logits, None
        if beta != 0:
            tokens = logits.topk(min(top_k, len(logits))).indices
            values = text.read(tokens)
            work += len(tokens)
            logits = tilted(logits, values, tokens, beta)
        token = int(torch.multinomial((logits / temperature).softmax(dim=-1).cpu(), 1, generator=generator))
        if token in base.end_ids:
            break
        if values is None:
            text.read(torch.tensor([token], device=base.device))
            work += 1
        text.keep(token)
        drawn.append(token)
    shown = str(base.tokenizer.decode(drawn, skip_special_tokens=True))
    return Written(shown, len(drawn), work / max(len(drawn), 1))


class _Text:
    """What the model read so far, the logits (vocabulary,) for what follows, and tokens that might."""

    def __init__(self, base: BaseModel, ids: Sequence[int], reward: Reward) -> None:
        self._base = base
        self._layers = layers_of(len(base.layers))
        self._weights = torch.from_numpy(reward.weights).to(base.device)
        self._cache = DynamicCache(config=base.model.config)
        prompt = torch.tensor([list(ids)], device=base.device)
        output = base.decoder(input_ids=prompt, past_key_values=self._cache, use_cache=True)
        self.logits = base.logits(output.last_hidden_state[0, -1]).float()
        self._tokens: list[int] = []
        self._following = self.logits[None]

    def read(self, tokens: Tensor) -> Tensor:
        """Read tokens (k,) that might follow, each as if it were the next one; return their rewards (k,)."""
        past, count = self._cache.get_seq_length(), len(tokens)
        # Each sees what was kept and itself.
        hidden = torch.full(
            (count, past + count), torch.finfo(self._base.model.dtype).min, device=tokens.device
        )
        hidden[:, :past] = 0
        hidden[:, past:].fill_diagonal_(0)
        with layer_outputs(self._base, self._layers) as outputs:
            output = self._base.decoder(
                input_ids=tokens[None],
                attention_mask=hidden[None, None].to(self._base.model.dtype),
                position_ids=torch.full((1, count), past, device=tokens.device),
                past_key_values=self._cache,
                use_cache=True,
            )
        self._tokens = tokens.tolist()
        self._following = self._base.logits(output.last_hidden_state[0]).float()
        states = torch.stack([outputs[layer][0].float() for layer in self._layers])
        return torch.einsum("lkh,lh->k", states, self._weights)

    def keep(self, token: int) -> None:
        """Go on with one of the tokens that were read last, and forget the others."""
        place, count = self._tokens.index(token), len(self._tokens)
        self.logits = self._following[place]
        for layer in self._cache.layers:
            if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
                raise ModelError(f"{self._base.name} does not keep every token, so none can be taken back.")
            past = layer.keys.shape[-2] - count
            kept = [*range(past), past + place]
            layer.keys, layer.values = layer.keys[..., kept, :], layer.values[..., kept, :]
