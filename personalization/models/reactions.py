"""How a person is likely to go on after an answer: the likelihood of their reaction, as a reward.

Zhang et al. 2024, "Aligning Language Models Using Follow-up Likelihood as Reward Signal", arXiv:2409.13948. A
model that reads an answer finds "Thanks, that helps" likelier after a good one than "That is not what I
asked". Knows nothing of people or training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat
from personalization.models.relevance import encoder
from personalization.records import Message

# What people say who are served and who are not, written for this project after the paper's kinds: the answer
# is understood, liked and useful; or it misses the question, is hard to follow, too much, too little, wrong.
PLEASED = (
    "Thanks, that helps a lot.",
    "Great answer, I like it.",
    "Perfect, exactly what I wanted.",
    "That makes sense now.",
    "I love how you put that.",
    "Good, please always answer like this.",
    "Thank you, well done!",
    "That is much better.",
)
DISPLEASED = (
    "That is not what I asked.",
    "I don't like this answer.",
    "This is too long, please make it shorter.",
    "I don't understand this.",
    "Please use simpler words and shorter sentences.",
    "That is wrong.",
    "This is too vague and leaves things out, please say more.",
    "Please write it in another way.",
    "This is not helpful.",
)
# A text that is so far from all of them says neither, nor does one that is about as near to both.
NEAREST, APART = 0.4, 0.05
MOST_TOKENS = 64  # of a reaction; what somebody writes at length is told by its beginning


def leaning(texts: Sequence[str]) -> list[int]:
    """Return 1 for each text that reads like praise, -1 like a complaint, 0 like neither."""
    if not texts:
        return []
    vectors = encoder().encode([*PLEASED, *DISPLEASED, *texts])
    known, found = vectors[: len(PLEASED) + len(DISPLEASED)], vectors[len(PLEASED) + len(DISPLEASED) :]
    cosines = found @ known.T
    good, bad = (part.amax(dim=1) for part in cosines.split([len(PLEASED), len(DISPLEASED)], dim=1))
    clear = (torch.maximum(good, bad) >= NEAREST) & ((good - bad).abs() >= APART)
    return [int(sign) for sign in ((good - bad).sign() * clear).tolist()]


def follow_up_rewards(base: BaseModel, prompt: Sequence[Message], answers: Sequence[str]) -> list[float]:
    """Return each answer's reward: mean log-likelihood of pleased reactions less that of displeased ones.

    In nats for each token of a reaction, as in the paper; a small model makes little of it (docs/methods.md).
    One forward pass for each answer, and a short one for its reactions.
    """
    found = []
    for answer in answers:
        logps = reaction_logps(base, (*prompt, Message("assistant", answer)), [*PLEASED, *DISPLEASED])
        found.append(float(logps[: len(PLEASED)].mean() - logps[len(PLEASED) :].mean()))
    return found


@torch.no_grad()
def reaction_logps(base: BaseModel, chat: Sequence[Message], reactions: Sequence[str]) -> Tensor:
    """Return the mean log-probability of each reaction's tokens as the next message of a chat: (reactions,).

    The chat ends with an answer and is read once for all reactions. Of a chat that leaves no room its end is
    read, of a reaction its first MOST_TOKENS tokens.
    """
    before, given = _encoded(base, chat, reactions)
    longest = max(map(len, given))
    before = before[-(base.context_length - longest) :]
    device = base.device
    read = base.decoder(input_ids=torch.tensor([before], device=device), use_cache=True)
    cache = read.past_key_values
    cache.batch_repeat_interleave(len(given))
    ids = torch.zeros(len(given), longest, dtype=torch.long)
    for row, tokens in enumerate(given):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    ids = ids.to(device)
    later = base.decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
    last = read.last_hidden_state[:, -1:].expand(len(given), 1, -1)
    words = functional.log_softmax(base.logits(torch.cat([last, later[:, :-1]], dim=1)).float(), dim=-1)
    logps = words.gather(2, ids[..., None])[..., 0]
    counts = torch.tensor([len(tokens) for tokens in given], device=device)
    inside = torch.arange(longest, device=device) < counts[:, None]
    return ((logps * inside).sum(dim=1) / counts).cpu()


def _encoded(
    base: BaseModel, chat: Sequence[Message], reactions: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """Return the tokens before a reaction and those of each reaction, by what two others have in common."""

    def asked(text: str) -> list[int]:
        return encode_chat(base, (*chat, Message("user", text)))

    one, other = asked("0"), asked("1")
    start = _alike(one, other)
    end = _alike(one[start:][::-1], other[start:][::-1])
    whole = [asked(text.strip() or ".") for text in reactions]
    return one[:start], [(ids[start : len(ids) - end] or ids[-1:])[:MOST_TOKENS] for ids in whole]


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
