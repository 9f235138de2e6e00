"""Prompts on their way into the batch: read together, some tokens at a time, from where they are known.

A long prompt is read in pieces, between which the rows go on writing. Equal prompts of one key are read once.
Knows nothing of queues; one thread does all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.engine.answer import Answer
from personalization.engine.prefix import Key, PrefixCache
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions

Known = tuple[Answer, Tensor | None]


class Reading:
    """Some prompts of which equally many tokens are known. `answers[i]` is row `place[i]` of `past`."""

    def __init__(self, group: Sequence[Known], device: torch.device) -> None:
        places: dict[tuple[Key, tuple[int, ...]], int] = {}
        self.answers = [answer for answer, _ in group]
        self.place = [places.setdefault((a.key, tuple(a.prompt)), len(places)) for a in self.answers]
        own = dict(zip(self.place, group, strict=True))
        self._read = [own[at][0] for at in range(len(places))]
        self.past, start = _past([own[at][1] for at in range(len(places))])
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

    def advance(self, base: BaseModel, interventions: Interventions, tokens: int) -> None:
        """Read up to so many tokens, padding included, but at least one of each prompt."""
        begin = self._done
        part = self._ids[:, begin : begin + max(1, tokens // len(self._read))]
        with interventions.rows([answer.row for answer in self._read], prompts=True):
            # Padding is on the right, where a causal model does not look: no mask.
            output = base.decoder(input_ids=part, past_key_values=self.past, use_cache=True)
        self._done += part.shape[1]
        for i, length in enumerate(self._lengths):
            if begin < length <= self._done:
                self._last[i] = output.last_hidden_state[i, length - 1 - begin]

    def logits(self, base: BaseModel) -> Tensor:
        """Return what comes after each answer's prompt (answers, vocabulary), once everything was read."""
        read = base.logits(torch.stack([self._last[i] for i in range(len(self._read))]))
        return read[torch.tensor(self.place, device=read.device)]


def readings(answers: Sequence[Answer], prefixes: PrefixCache, device: torch.device) -> list[Reading]:
    """Return what is to be read: together what starts at the same place and is of similar length."""
    groups: dict[tuple[int, int], list[Known]] = {}
    for answer in answers:
        known = prefixes.find(answer.key, answer.prompt)
        start = 0 if known is None else known.shape[2]
        # Within a factor of two, so that a short prompt is not padded to a long one.
        groups.setdefault((start, (len(answer.prompt) - start).bit_length()), []).append((answer, known))
    return [Reading(group, device) for group in groups.values()]


def _past(known: Sequence[Tensor | None]) -> tuple[DynamicCache, int]:
    """Return a cache that holds what is known of each row, all of one length, and that length."""
    past, states = DynamicCache(), [each for each in known if each is not None]
    if not states:
        return past, 0
    together = torch.stack(states)  # (rows, 2 x layers, heads, tokens, width)
    for layer in range(together.shape[1] // 2):
        past.update(together[:, 2 * layer], together[:, 2 * layer + 1], layer)
    return past, together.shape[3]
