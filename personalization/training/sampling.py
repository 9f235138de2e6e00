"""Answers that the model writes in the middle of training, as token ids, from policy, base, or both in one.

A text that is encoded anew may have other tokens than were drawn, and one that was cut off no end of turn; a
policy gradient needs what was drawn. Not for serving: the engine does that. Knows nothing of who judges them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.models.base import BaseModel
from personalization.registry import Draw
from personalization.training.lora import Adapter, acting

NEW_TOKENS = 96  # of an answer: as long as those that are rated in the benchmarks


@torch.no_grad()
def sampled(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    draws: Sequence[Draw],
    adapter: Adapter,
    *,
    mixture: float = 0.0,
    seed: int,
    new_tokens: int = NEW_TOKENS,
) -> list[tuple[int, ...]]:
    """Return an answer to each prompt, with its end of turn where it came to one, all in one batch.

    `draws` says where each comes from: the policy (base with `adapter`) at temperature 1, its likeliest
    tokens, or the normalised p_policy^(1 - mixture) p_base^mixture of each next token: the geometric mixture
    of Munos et al. 2023 (arXiv:2312.00886), token by token, as their experiments and TRL's have it. The same
    seed draws the same.
    """
    mixed = [i for i, draw in enumerate(draws) if draw == "mixture" and mixture > 0]
    policy = _Reader(base, prompts)
    reference = _Reader(base, [prompts[i] for i in mixed]) if mixed else None
    generator = torch.Generator().manual_seed(seed)
    greedy = torch.tensor([draw == "greedy" for draw in draws])
    over = torch.zeros(len(prompts), dtype=torch.bool)
    end = int(base.tokenizer.eos_token_id)
    found: list[Tensor] = []
    ids: Tensor | None = None
    for _ in range(min(new_tokens, base.context_length - max(map(len, prompts)))):
        with acting([adapter]):
            words = policy.next(ids)
        if reference:
            own = None if ids is None else ids[mixed]
            words[mixed] = torch.lerp(words[mixed], reference.next(own), mixture)
        drawn = torch.multinomial(words.softmax(dim=-1), 1, generator=generator)[:, 0]
        ids = torch.where(greedy, words.argmax(dim=-1), drawn)
        ids[over] = end
        found.append(ids)
        over |= ids == end
        if over.all():
            break
    return [_up_to(row, end) for row in torch.stack(found, dim=1).tolist()]


def _up_to(ids: list[int], end: int) -> tuple[int, ...]:
    return tuple(ids[: ids.index(end) + 1] if end in ids else ids)


class _Reader:
    """Reads a batch token by token; prompts are padded on the left."""

    def __init__(self, base: BaseModel, prompts: Sequence[Sequence[int]]) -> None:
        longest = max(map(len, prompts))
        self._base, self._cache = base, DynamicCache()
        self._ids = torch.tensor([[0] * (longest - len(own)) + list(own) for own in prompts])
        self._mask = torch.tensor([[0] * (longest - len(own)) + [1] * len(own) for own in prompts])

    def next(self, ids: Tensor | None) -> Tensor:
        """Read these tokens (rows,), at first the prompts; return log-probabilities (rows, vocabulary)."""
        if ids is not None:
            self._mask = torch.cat([self._mask, torch.ones_like(ids)[:, None]], dim=1)
        given = self._ids if ids is None else ids[:, None]
        positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)[:, -given.shape[1] :]
        device = self._base.device
        output: Tensor = self._base.decoder(
            input_ids=given.to(device),
            attention_mask=self._mask.to(device),
            position_ids=positions.to(device),
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        return self._base.logits(output[:, -1]).float().log_softmax(dim=-1).cpu()
