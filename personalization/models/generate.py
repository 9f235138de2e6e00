"""A few short answers for measuring and showing, with whatever acts on the model at the moment.

Not for serving: the engine does that. Knows nothing of who reads the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat
from personalization.records import Message


@torch.no_grad()
def short_answers(
    base: BaseModel,
    chats: Sequence[Sequence[Message]],
    *,
    seed: int,
    max_new_tokens: int = 80,
    temperature: float = 0.7,
) -> list[str]:
    """Return one sampled answer for each chat, generated in one batch; the same seed draws the same."""
    prompts = [encode_chat(base, chat) for chat in chats]
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), int(base.tokenizer.eos_token_id))
    mask = torch.zeros_like(ids)
    for i, prompt in enumerate(prompts):
        ids[i, longest - len(prompt) :] = torch.tensor(prompt)
        mask[i, longest - len(prompt) :] = 1
    generate: Any = base.model.generate  # its type depends on a mixin that mypy cannot see
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        out = generate(
            input_ids=ids.to(base.device),
            attention_mask=mask.to(base.device),
            do_sample=True,
            temperature=temperature,
            top_k=0,
            max_new_tokens=max_new_tokens,
            pad_token_id=base.tokenizer.eos_token_id,
        )
    texts = base.tokenizer.batch_decode(out[:, longest:], skip_special_tokens=True)
    return [text.replace("\0", "").strip() for text in texts]  # no JSON field of PostgreSQL holds a NUL


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
