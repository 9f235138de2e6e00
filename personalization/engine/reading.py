"""Prompts on their way into the batch: read together, some tokens at a time, from where they are known.

A long prompt is read in pieces, between which the rows go on writing. Equal prompts of one key are read once.
Knows nothing of queues; one thread does all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.engine.answer import Answer
from personalization.engine.prefix import Key, PrefixCache
from personalization.models.base import BaseModel
from personalization.models.interventions import Row

# Answers to one prompt, with what is known of it.
Asked = tuple[list[Answer], Tensor | None]
# Tokens (rows, tokens), what each row carries, and what is known of it -> hidden states of the last layer.
Read = Callable[[Tensor, Sequence[Row], DynamicCache], Tensor]


class Reading:
    """Some prompts of which equally many tokens are known. `answers[i]` is row `place[i]` of `past`."""

    def __init__(self, group: Sequence[Asked], device: torch.device) -> None:
        self.answers = [answer for same, _ in group for answer in same]
        self.place = [i for i, (same, _) in enumerate(group) for _ in same]
        self.turns_waited = 0
        self._read = [same[0] for same, _ in group]
        self.past, start = _past([known for _, known in group])
        self._lengths = [len(answer.prompt) - start for answer in self._read]
        self._ids = torch.zeros(len(self._read), max(self._lengths), dtype=torch.long, device=device)
        for i, answer in enumerate(self._read):
            self._ids[i, : self._lengths[i]] = torch.tensor(answer.prompt[start:])
        self._done = 0
        self._last: dict[int, Tensor] = {}  # what the head reads each row's next token from

    @property
    def is_done(self) -> bool:
        """Say whether everything was read."""
        return self._done >= self._ids.shape[1]

    def passes_left(self, tokens: int) -> int:
        """Return how often `advance` must still be called, with so many tokens each time."""
        return -(-(self._ids.shape[1] - self._done) // max(1, tokens // len(self._read)))

    def advance(self, read: Read, tokens: int) -> None:
        """Have up to so many tokens read, padding included, but at least one of each prompt."""
        begin = self._done
        part = self._ids[:, begin : begin + max(1, tokens // len(self._read))]
        # Padding is on the right, where a causal model does not look.
        states = read(part, [answer.row for answer in self._read], self.past)
        self._done += part.shape[1]
        for i, length in enumerate(self._lengths):
            if begin < length <= self._done:
                self._last[i] = states[i, length - 1 - begin]

    def logits(self, base: BaseModel) -> Tensor:
        """Return what comes after each answer's prompt (answers, vocabulary), once everything was read."""
        read = base.logits(torch.stack([self._last[i] for i in range(len(self._read))]))
        return read[torch.tensor(self.place, device=read.device)]


def readings(
    answers: Sequence[Answer], prefixes: PrefixCache, tokens: int, device: torch.device
) -> list[Reading]:
    """Return what is to be read: together what starts at the same place and is of similar length.

    Only so many together as one pass over that many `tokens` reads, so that the first need not wait for all.
    """
    prompts: dict[tuple[Key, tuple[int, ...]], list[Answer]] = {}
    for answer in answers:
        prompts.setdefault((answer.key, tuple(answer.prompt)), []).append(answer)
    groups: dict[tuple[int, int], list[Asked]] = {}
    for (key, prompt), same in prompts.items():
        known = prefixes.find(key, prompt)
        start = 0 if known is None else known.shape[2]
        # Within a factor of two, so that a short prompt is not padded to a long one.
        groups.setdefault((start, (len(prompt) - start).bit_length()), []).append((same, known))
    found = []
    for (start, _), group in groups.items():
        count = max(1, tokens // max(len(same[0].prompt) - start for same, _ in group))
        found += [Reading(group[i : i + count], device) for i in range(0, len(group), count)]
    return found


def _past(known: Sequence[Tensor | None]) -> tuple[DynamicCache, int]:
    """Return a cache that holds what is known of each row, all of one length, and that length."""
    past, states = DynamicCache(), [each for each in known if each is not None]
    if not states:
        return past, 0
    together = torch.stack(states)  # (rows, 2 x layers, heads, tokens, width)
    for layer in range(together.shape[1] // 2):
        past.update(together[:, 2 * layer], together[:, 2 * layer + 1], layer)
    return past, together.shape[3]
