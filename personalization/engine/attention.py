"""How new tokens find what was said before them: by torch's operators, or in one call that is compiled here.

Knows nothing of weights or requests. States are a layer's queries, keys and values, side by side.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from personalization.engine.cache import Past, RowCache
from personalization.models.compiled import Compiled

Turn = tuple[
    Tensor, Tensor
]  # cosines and sines (rows or 1, tokens, width), the first half with the sign turned
# Of a layer, by its number: states (rows, tokens, (heads + 2 x key heads) x width) and the scale of the
# scores -> (rows, tokens, heads x width). Keys and values are written.
Attend = Callable[[int, Tensor, float], Tensor]


def turn(cos: Tensor, sin: Tensor) -> Turn:
    """Return a model's rotary embedding so that the halves of a head turn with one product less."""
    half = sin.shape[-1] // 2
    return cos, torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)


def by_torch(heads: int, key_heads: int, turn: Turn, mask: Tensor, past: Past) -> Attend:
    """Return attention to what `past` holds, of any number of tokens of each row.

    mask (.., tokens, keys): 0 where a token may look, else -inf.
    """
    cos, sin = (each[:, :, None] for each in turn)
    sharing = heads // key_heads
    mask = mask.repeat(*[1] * (mask.dim() - 2), sharing, 1)

    def attend(layer: int, states: Tensor, scale: float) -> Tensor:
        rows, tokens, _ = states.shape
        states = states.view(rows, tokens, heads + 2 * key_heads, -1)
        asked, value = states[:, :, : heads + key_heads], states[:, :, heads + key_heads :]
        asked = (asked * cos + asked.roll(asked.shape[-1] // 2, dims=-1) * sin).transpose(1, 2)
        keys, values = past.update(asked[:, heads:], value.transpose(1, 2), layer)
        # Heads that share a key are so many queries of one head: nothing is repeated.
        query = asked[:, :heads].reshape(rows, key_heads, sharing * tokens, -1)
        found = nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scale)
        return found.view(rows, heads, tokens, -1).transpose(1, 2).reshape(rows, tokens, -1)

    return attend


def of_step(built: Compiled, turn: Turn, cache: RowCache) -> Attend:
    """Return the same of one token of each row of a cache in float32, which reads no row beyond its end."""
    held = cache.space(cache.count)
    return lambda layer, states, scale: built.attend(states, turn, held[layer], cache.lengths, scale)
