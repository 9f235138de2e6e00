"""What a model's head says of states, without a number kept for each word of the vocabulary.

A linear head gives a word its row times the state, so log p(word) is that product less a normaliser, whose
gradient is the mean row under p. Whoever holds that mean for one state knows its divergence from any other
(Bregman's, of the normaliser: Banerjee et al. 2005, Journal of Machine Learning Research 6, section 4). Heads
that are not linear (a soft cap) are read word by word. Knows nothing of texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from personalization.models.base import BaseModel

# One number for each state and word: 50 MB at a time, not a gigabyte.
STATES = 256


@dataclass(frozen=True, slots=True)
class Said:
    """What the head says of fixed states (n, hidden), for `divergence`."""

    states: Tensor = field(repr=False)
    mean_rows: Tensor | None = field(repr=False)  # (n, hidden), float32; None where the head is not linear
    normalisers: Tensor | None = field(repr=False)  # (n,)

    @classmethod
    @torch.no_grad()
    def of(cls, base: BaseModel, states: Tensor) -> Said:
        """Read the states."""
        return cls(states, *(_read(base, states, mean_rows=True) if _is_linear(base) else (None, None)))

    @classmethod
    def joined(cls, some: Iterable[Said]) -> Said:
        """Return several as one, in their order."""
        states, rows, normalisers = zip(*((s.states, s.mean_rows, s.normalisers) for s in some), strict=True)
        if rows[0] is None:
            return cls(torch.cat(states), None, None)
        return cls(torch.cat(states), torch.cat(rows), torch.cat(normalisers))


def word_logps(base: BaseModel, states: Tensor, words: Tensor) -> Tensor:
    """Return the log-probability of one word (its id) after each state: float32 (n,) of (n, hidden)."""
    if not _is_linear(base):
        parts = zip(states.split(STATES), words.split(STATES), strict=True)
        return torch.cat([_words(base, part).gather(1, own[:, None])[:, 0] for part, own in parts])
    rows = base.model.get_output_embeddings().weight[words]
    return base.scaled((states.float() * rows.float()).sum(dim=-1)) - normaliser(base, states)


def divergence(base: BaseModel, states: Tensor, said: Said) -> Tensor:
    """Return KL(what was said || what the head says of `states`), in nats: float32 (n,) of (n, hidden)."""
    if said.mean_rows is None or said.normalisers is None:
        parts = zip(states.split(STATES), said.states.split(STATES), strict=True)
        return torch.cat([_divergence(base, part, own) for part, own in parts])
    moved = ((states.float() - said.states.float()) * said.mean_rows).sum(dim=-1)
    return normaliser(base, states) - said.normalisers - moved


def normaliser(base: BaseModel, states: Tensor) -> Tensor:
    """Return the log of the sum of a linear head's exponentials: float32 (n,) of (n, hidden)."""
    found: Tensor = _Normaliser.apply(states, base)
    return found


class _Normaliser(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, base: BaseModel) -> Tensor:
        rows, found = _read(base, states, mean_rows=ctx.needs_input_grad[0])
        if rows is not None:
            ctx.save_for_backward(rows)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return gradients[0][:, None] * rows, None


def _read(base: BaseModel, states: Tensor, *, mean_rows: bool) -> tuple[Tensor | None, Tensor]:
    """Return the mean row, if asked for, and the log of the sum of exponentials, of a linear head."""
    weight = base.model.get_output_embeddings().weight
    rows, found = [], []
    for part in states.split(STATES):
        logits = base.logits(part).float()
        top = logits.amax(dim=-1, keepdim=True)
        sums = logits.sub_(top).exp_().sum(dim=-1, keepdim=True)
        found.append((top + sums.log())[:, 0])
        if mean_rows:
            rows.append(base.scaled((logits.to(weight.dtype) @ weight).float() / sums))
    return torch.cat(rows) if mean_rows else None, torch.cat(found)


def _is_linear(base: BaseModel) -> bool:
    head = base.model.get_output_embeddings()
    capped = getattr(base.model.config, "final_logit_softcapping", None)
    return isinstance(head, nn.Linear) and head.bias is None and not capped


def _words(base: BaseModel, states: Tensor) -> Tensor:
    return functional.log_softmax(base.logits(states).float(), dim=-1)


def _divergence(base: BaseModel, states: Tensor, others: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = _words(base, others)
    return functional.kl_div(_words(base, states), wanted, reduction="none", log_target=True).sum(dim=-1)
