"""How far a model agrees with statements: five answer words, read in many orders, and what it held then.

Knows nothing of any person. A small model names whichever word stands first, so its log-probabilities
are averaged over orders of the words and compared with their mean over all statements.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat, encode_text
from personalization.records import Message

WORDS = ("never", "rarely", "sometimes", "often", "always")  # answers 1 to 5
INSTRUCTION = "How well does a statement describe you? Answer with one of: {words}.\nStatement: {statement}"
BATCH = 50


def orders(count: int) -> list[tuple[int, ...]]:
    """Return this many of the 120 orders of the words: each word at each place equally often, and reversed.

    Raises ValueError unless the count is 2 or a multiple of 10 up to 120.
    """
    if count == 2:
        return [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)]
    if count not in range(10, 121, 10):
        raise ValueError(f"{count} orders cannot be balanced; take 2 or a multiple of 10 up to 120.")
    found: list[tuple[int, ...]] = []
    for order in itertools.permutations(range(5)):
        rotations = [order[k:] + order[:k] for k in range(5)]
        new = [*rotations, *(turned[::-1] for turned in rotations)]
        if not set(new) & set(found):
            found += new
    return found[:count]


def question(statement: str, order: Sequence[int]) -> Message:
    """Put one statement, with the words listed in this order."""
    return Message("user", INSTRUCTION.format(words=", ".join(WORDS[k] for k in order), statement=statement))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model did with statements, for each order of the words.

    `logps` (orders, statements, 5); `keys` (orders, statements, width), the input of the last layer's
    second MLP projection, and `hidden` (orders, statements, hidden), what goes into the last norm.
    """

    logps: Tensor
    keys: Tensor
    hidden: Tensor


class Scale:
    """The five words as tokens of one base model. Raises ModelError when two begin alike."""

    def __init__(self, base: BaseModel) -> None:
        self._base = base
        self.tokens = [encode_text(base, word)[0] for word in WORDS]
        if len(set(self.tokens)) != len(WORDS):
            raise ModelError(f"{base.name} begins two of the words {WORDS} alike.")

    @torch.no_grad()
    def read(
        self,
        statements: Sequence[str],
        asked: Sequence[tuple[int, ...]],
        *,
        head: Callable[[int, Sequence[int]], Sequence[Message]] = lambda _, __: (),
        tick: Callable[[], None] = lambda: None,
    ) -> Reading:
        """Put every statement in every order under whatever acts on the model now.

        `head(i, order)` gives the messages that stand before statement i. `tick` hears each order.
        """
        logps, keys, hidden = [], [], []
        for order in asked:
            chats = [[*head(i, order), question(text, order)] for i, text in enumerate(statements)]
            held = self._forward([encode_chat(self._base, chat) for chat in chats])
            keys.append(held[0])
            hidden.append(held[1])
            logps.append(self.logps(held[1]))
            tick()
        return Reading(torch.stack(logps), torch.stack(keys), torch.stack(hidden))

    @torch.no_grad()
    def logps(self, hidden: Tensor) -> Tensor:
        """Return the words' log-probabilities among each other (..., 5) from what goes into the last norm."""
        norm: Any = self._base.decoder.norm
        words = self._base.logits(norm(hidden.to(self._base.device)), self.tokens)
        return words.float().log_softmax(dim=-1).cpu()

    def _forward(self, prompts: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Return (keys, hidden) at the end of each prompt; what all prompts begin with is read once."""
        first, shortest = prompts[0], min(map(len, prompts))
        shared = next((i for i in range(shortest) if any(p[i] != first[i] for p in prompts)), shortest - 1)
        shared = min(shared, shortest - 1)
        cache = DynamicCache(config=self._base.model.config)
        if shared:
            start = torch.tensor([first[:shared]], device=self._base.device)
            self._base.decoder(input_ids=start, past_key_values=cache, use_cache=True)
        held: dict[str, Tensor] = {}
        layer: Any = self._base.layers[-1]
        norm: Any = self._base.decoder.norm
        handles = [
            layer.mlp.down_proj.register_forward_pre_hook(lambda _, given: held.__setitem__("key", given[0])),
            norm.register_forward_pre_hook(lambda _, given: held.__setitem__("hidden", given[0])),
        ]
        found: tuple[list[Tensor], list[Tensor]] = ([], [])
        try:
            for begin in range(0, len(prompts), BATCH):
                own = [prompt[shared:] for prompt in prompts[begin : begin + BATCH]]
                ids = torch.zeros(len(own), max(map(len, own)), dtype=torch.long)
                for row, tokens in enumerate(own):
                    ids[row, : len(tokens)] = torch.tensor(tokens)
                past = copy.deepcopy(cache)
                if shared:
                    past.batch_repeat_interleave(len(own))
                self._base.decoder(input_ids=ids.to(self._base.device), past_key_values=past, use_cache=True)
                at = torch.arange(len(own)), torch.tensor([len(tokens) - 1 for tokens in own])
                found[0].append(held["key"][at].float().cpu())
                found[1].append(held["hidden"][at].float().cpu())
        finally:
            for handle in handles:
                handle.remove()
        return torch.cat(found[0]), torch.cat(found[1])


def expected(logps: Tensor, usual: Tensor) -> Tensor:
    """Return the expected answer to each statement, 1 to 5: (..., statements).

    `logps` (..., orders, statements, 5), `usual` (orders, 5): what the base model says whatever is asked.
    """
    calibrated = (logps - usual[:, None]).mean(dim=-3).softmax(dim=-1)
    return (calibrated * torch.arange(1.0, len(WORDS) + 1)).sum(dim=-1)


def usual_of(reading: Reading) -> Tensor:
    """Return each word's mean log-probability over statements, by order: (orders, 5)."""
    return reading.logps.mean(dim=1)
