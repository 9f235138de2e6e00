"""A few short answers for measuring and showing, with whatever acts on the model at the moment.

Not for serving: the engine does that. Knows nothing of who reads the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.prompts import encode_chat
from personalization.records import Message

Chats = Sequence[Sequence[Message]]


def short_answers(
    base: BaseModel, chats: Chats, *, seed: int, max_new_tokens: int = 80, temperature: float = 0.7
) -> list[str]:
    """Return one sampled answer for each chat, generated in one batch; the same seed draws the same."""
    return _drawn(base, chats, range(len(chats)), seed, max_new_tokens, temperature)


def answers_of_arms(
    base: BaseModel,
    interventions: Interventions,
    arms: Sequence[tuple[Row, Chats]],
    *,
    seed: int,
    max_new_tokens: int = 80,
    temperature: float = 0.7,
) -> list[list[str]]:
    """Return what each arm, a row and the chats that it answers, writes: all arms in one batch.

    A step costs little more for many rows than for few. All arms have as many chats; those at one place draw
    with the same random numbers (the Gumbel-max trick): arms differ by what acts and by little chance.
    """
    count = len(arms[0][1])
    rows = [row for row, chats in arms for _ in chats]
    with interventions.rows(rows):
        texts = _drawn(
            base,
            [chat for _, chats in arms for chat in chats],
            [at % count for at in range(len(rows))],
            seed,
            max_new_tokens,
            temperature,
        )
    return [texts[begin : begin + count] for begin in range(0, len(texts), count)]


@torch.no_grad()
def _drawn(
    base: BaseModel, chats: Chats, places: Sequence[int], seed: int, max_new_tokens: int, temperature: float
) -> list[str]:
    prompts = [encode_chat(base, chat) for chat in chats]
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), int(base.tokenizer.eos_token_id))
    mask = torch.zeros_like(ids)
    for i, prompt in enumerate(prompts):
        ids[i, longest - len(prompt) :] = torch.tensor(prompt)
        mask[i, longest - len(prompt) :] = 1
    generate: Any = base.model.generate  # its type depends on a mixin that mypy cannot see
    out = generate(
        input_ids=ids.to(base.device),
        attention_mask=mask.to(base.device),
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        logits_processor=[_Noise(places, seed, temperature)],
        max_new_tokens=max_new_tokens,
        pad_token_id=base.tokenizer.eos_token_id,
    )
    texts = base.tokenizer.batch_decode(out[:, longest:], skip_special_tokens=True)
    return [text.replace("\0", "").strip() for text in texts]  # no JSON field of PostgreSQL holds a NUL


class _Noise(LogitsProcessor):
    """Gumbel noise on logits, whose greatest is then a sample; rows of one place get the same noise."""

    def __init__(self, places: Sequence[int], seed: int, temperature: float) -> None:
        self._places, self._temperature = torch.tensor(places), temperature
        self._draws = torch.Generator().manual_seed(seed)

    def __call__(self, _ids: Tensor, scores: Tensor) -> Tensor:
        shape = int(self._places.max()) + 1, scores.shape[1]
        noise = -torch.empty(shape).exponential_(generator=self._draws).log()
        return scores.float() / self._temperature + noise[self._places].to(scores.device)


@torch.no_grad()
def plain_text(base: BaseModel, *, count: int, tokens: int, seed: int) -> torch.Tensor:
    """Return what the model writes when nobody asks anything: ids (count, tokens) on its device.

    No text ends early.
    """
    start = torch.full((count, 1), _document_start(base), device=base.device)
    generate: Any = base.model.generate
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found: torch.Tensor = generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            do_sample=True,
            temperature=0.8,
            top_p=0.95,
            top_k=0,
            min_new_tokens=tokens - 1,
            max_new_tokens=tokens - 1,
            pad_token_id=base.tokenizer.eos_token_id,
        )
    return found


def _document_start(base: BaseModel) -> int:
    """Return the token before a new document; models trained on chats keep that of their pretraining."""
    known = base.tokenizer.get_vocab()
    tokens = ("<|endoftext|>", base.tokenizer.bos_token, base.tokenizer.eos_token)
    return int(next((known[token] for token in tokens if token in known), 0))
