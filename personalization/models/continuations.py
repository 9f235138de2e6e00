"""How likely a model finds several continuations of each of some prompts; every prompt is read once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from personalization.models.base import BaseModel
from personalization.models.head import word_logps

Tokens = Sequence[int]


@torch.no_grad()
def continuation_logps(
    base: BaseModel,
    prompts: Sequence[Tokens],
    continuations: Sequence[Sequence[Tokens]],
    begun: DynamicCache | None = None,
) -> Tensor:
    """Return each token's log-probability (prompts, continuations, longest), 0 beyond a continuation's end.

    Every prompt has as many continuations. `begun` is what the model made of what all prompts begin with (one
    row, left as it is); `prompts` then hold the rest, at least one token each.
    """
    rows, count = len(prompts), len(continuations[0])
    cache = copy.deepcopy(begun) if begun is not None else DynamicCache(config=base.model.config)
    shared = cache.get_seq_length()
    if shared:
        cache.batch_repeat_interleave(rows)
    # What fills the shorter ones up comes after their last token, which does not see it.
    ids, inside = _padded(base, prompts)
    states = base.decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
    lengths = inside.sum(dim=1)
    last = states[torch.arange(rows, device=base.device), lengths - 1].repeat_interleave(count, dim=0)
    targets, asked = _padded(base, list(chain.from_iterable(continuations)))
    read, following = last[:, None], targets[:, :-1]
    if following.shape[1]:
        cache.batch_repeat_interleave(count)
        mask = nn.functional.pad(inside, (shared, following.shape[1]), value=True)
        places = torch.arange(following.shape[1], device=base.device) + shared + lengths[:, None]
        later = base.decoder(
            input_ids=following,
            attention_mask=mask.long().repeat_interleave(count, dim=0),
            position_ids=places.repeat_interleave(count, dim=0),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        read = torch.cat([read, later], dim=1)
    logps = torch.zeros(targets.shape, device=base.device)
    logps[asked] = word_logps(base, read[asked], targets[asked])
    return logps.view(rows, count, -1)


def _padded(base: BaseModel, texts: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Return ids (texts, longest), filled up on the right, and which of them are the texts' own."""
    ids = pad_sequence([torch.tensor(text, device=base.device) for text in texts], batch_first=True)
    lengths = torch.tensor([len(text) for text in texts], device=base.device)
    return ids, torch.arange(ids.shape[1], device=base.device) < lengths[:, None]
