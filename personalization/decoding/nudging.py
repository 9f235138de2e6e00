"""Nudging: a small model that is aligned writes the words at which a large one is not sure (Fei et al. 2024).

arXiv:2410.09300. The large model writes greedily as long as its likeliest token has a probability of at least
`threshold`; where it has less, the small model writes a word, and another one until the large model is sure
again. They share words and no tokens, so they may be of different families. One answer at a time in a cache
of each model: for measuring, not for serving many people at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat, encode_text
from personalization.records import Message

THRESHOLD = 0.3  # of the published code; 0 never nudges, above 1 the small model writes everything
MOST_NUDGES = 150
BROKEN = "\ufffd"  # a character whose last bytes are still to be written


@dataclass(frozen=True, slots=True)
class Nudged:
    """An answer, how many words the small model wrote into it, and the tokens that each model wrote."""

    text: str
    nudges: int
    large_tokens: int
    small_tokens: int


@torch.no_grad()
def write(
    large: BaseModel,
    small: BaseModel,
    messages: Sequence[Message],
    *,
    threshold: float = THRESHOLD,
    max_new_tokens: int = 96,
) -> Nudged:
    """Return one greedy answer of at most so many tokens. Either model's end ends it."""
    writer, nudger = _Voice(large, messages), _Voice(small, messages)
    text, nudges, written, given, ended = "", 0, 0, 0, False
    run: list[int] = []  # of the large model, since the last nudge
    while not ended and written + given < max_new_tokens:
        token, chance = writer.next(text, run)
        if chance >= threshold or nudges == MOST_NUDGES or writer.spell(text, run).endswith(BROKEN):
            ended = token in large.end_ids
            run += [] if ended else [token]
            written += not ended
            continue
        text, run = text + writer.spell(text, run), []
        word, count, ended = nudger.word(text, max_new_tokens - written - given)
        text, given, nudges = text + word, given + count, nudges + bool(word)
    return Nudged((text + writer.spell(text, run)).strip(), nudges, written, given)


class _Voice:
    """One model with the chat before it; what two calls read alike is read once."""

    def __init__(self, base: BaseModel, messages: Sequence[Message]) -> None:
        self._base, self._prompt = base, encode_chat(base, messages)
        self._cache = DynamicCache(config=base.model.config)
        self._read: list[int] = []

    def next(self, text: str, tokens: Sequence[int] = ()) -> tuple[int, float]:
        """Return the likeliest token after a text and own tokens that follow it, and its probability."""
        ids = [*self._prompt, *self._encode(text), *tokens]
        pairs = zip(ids, self._read, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ids), len(self._read)))
        kept = min(same, len(ids) - 1)  # the last token's logits are what is asked for
        if surplus := len(self._read) - kept:
            self._cache.crop(-surplus)
        new = torch.tensor([ids[kept:]], device=self._base.device)
        output = self._base.decoder(input_ids=new, past_key_values=self._cache, use_cache=True)
        self._read = ids
        chances = self._base.logits(output.last_hidden_state[0, -1]).float().softmax(dim=-1)
        best = int(chances.argmax())
        return best, float(chances[best])

    def spell(self, text: str, tokens: Sequence[int]) -> str:
        """Return what own tokens add to a text."""
        before = self._encode(text)
        return self._decode([*before, *tokens]).removeprefix(self._decode(before))

    def word(self, text: str, most: int) -> tuple[str, int, bool]:
        """Return the next word after a text, its tokens, and whether the answer ends with it."""
        tokens: list[int] = []
        while len(tokens) < most:
            token, _ = self.next(text, tokens)
            found = self.spell(text, tokens)
            if token in self._base.end_ids:
                return found, len(tokens), True
            longer = self.spell(text, [*tokens, token])
            if found.strip() and not found.endswith(BROKEN) and longer[len(found) :][:1].isspace():
                break
            tokens.append(token)
        return self.spell(text, tokens), len(tokens), False

    def _encode(self, text: str) -> list[int]:
        return encode_text(self._base, text) if text else []

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._base.tokenizer.decode(list(tokens), skip_special_tokens=True))
