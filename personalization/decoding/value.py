"""Value-augmented sampling: tilt the next token towards what a value function expects (Han et al. 2024).

arXiv:2405.06639. Of the `top_k` likeliest tokens each logit grows by beta (V(x, y token) - mean V); the
others are left out. Here V is a person's reward, which is linear in states, read at the token itself: the
mean over the answer is what the reward sees, so one token's part of it is its own state. The paper trains a
network with TD(lambda) for that; a linear head on states needs no training, and looks no further than the
token.

A token's state exists once the model read it: each step reads `top_k` tokens, so a token shown costs
1 + top_k. Knows nothing of batches or people.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat
from personalization.records import Message
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
    """Return one sampled answer. With beta 0 it is the plain sample of the same seed, at the plain cost."""
    generator = torch.Generator().manual_seed(seed)
    value = _value_of(base, reward)
    cache = DynamicCache(config=base.model.config)
    ids = torch.tensor([encode_chat(base, messages)], device=base.device)
    drawn: list[int] = []
    work = 0
    while len(drawn) < max_new_tokens:
        output = base.decoder(input_ids=ids, past_key_values=cache, use_cache=True)
        logits = base.logits(output.last_hidden_state[0, -1]).float()
        work += 1
        if beta != 0:
            tokens = logits.topk(min(top_k, len(logits))).indices
            logits = tilted(logits, value(cache, tokens).to(logits), tokens, beta)
            work += len(tokens)
        token = int(torch.multinomial((logits / temperature).softmax(dim=-1).cpu(), 1, generator=generator))
        if token in base.end_ids:
            break
        drawn.append(token)
        ids = torch.tensor([[token]], device=base.device)
    text = str(base.tokenizer.decode(drawn, skip_special_tokens=True))
    return Written(text, len(drawn), work / max(len(drawn), 1))


def _value_of(base: BaseModel, reward: Reward) -> Callable[[DynamicCache, Tensor], Tensor]:
    """Return what reads tokens after what is in a cache, each on its own, and gives their rewards (k,)."""
    layers = layers_of(len(base.layers))
    weights = torch.from_numpy(reward.weights).to(base.device)

    def value(cache: DynamicCache, tokens: Tensor) -> Tensor:
        outputs: dict[int, Tensor] = {}
        handles = [
            base.layers[layer].register_forward_hook(
                lambda _m, _i, out, layer=layer: outputs.__setitem__(
                    layer, out[0] if isinstance(out, tuple) else out
                )
            )
            for layer in layers
        ]
        past = copy.deepcopy(cache)
        past.batch_repeat_interleave(len(tokens))
        try:
            base.decoder(input_ids=tokens[:, None], past_key_values=past, use_cache=True)
        finally:
            for handle in handles:
                handle.remove()
        states = torch.stack([outputs[layer][:, -1].float() for layer in layers], dim=1)
        return torch.einsum("klh,lh->k", states, weights)

    return value
