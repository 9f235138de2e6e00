"""What an artifact costs in general ability: perplexity of neutral text, and how far it moves from base.

Knows nothing of people: the text is the same for everybody (`neutral.txt`, written for this project).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch.nn import functional

from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.prompts import encode_text


@dataclass(frozen=True, slots=True)
class Cost:
    """Perplexity of neutral text under base and artifact, and KL(artifact || base) in nats per token."""

    perplexity_base: float
    perplexity: float
    kl_to_base: float

    @property
    def ratio(self) -> float:
        """How many times higher the perplexity became."""
        return self.perplexity / self.perplexity_base


@cache
def neutral_texts() -> tuple[str, ...]:
    """Return the paragraphs of `neutral.txt`."""
    text = (Path(__file__).parent / "neutral.txt").read_text()
    return tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())


@torch.no_grad()
def plain_logps(base: BaseModel) -> list[torch.Tensor]:
    """Return the base model's log-probabilities (tokens - 1, vocabulary) of each paragraph: 130 MB."""
    found = []
    for text in neutral_texts():
        ids = torch.tensor([encode_text(base, text)], device=base.device)
        found.append(functional.log_softmax(_logits(base, ids), dim=-1))
    return found


@torch.no_grad()
def measure_cost(
    base: BaseModel, interventions: Interventions, row: Row, plain_ones: Sequence[torch.Tensor] | None = None
) -> Cost:
    """Return what `row` costs. One forward pass for each paragraph and arm.

    Who measures many rows gives `plain_logps` of the same model and precision: half of the passes.
    """
    plain = changed = divergence = 0.0
    tokens = 0
    for i, text in enumerate(neutral_texts()):
        ids = torch.tensor([encode_text(base, text)], device=base.device)
        if plain_ones is None:
            reference = functional.log_softmax(_logits(base, ids), dim=-1)
        else:
            reference = plain_ones[i]
        with interventions.everywhere(row):
            policy = functional.log_softmax(_logits(base, ids), dim=-1)
        target = ids[0, 1:, None]
        plain -= reference.gather(1, target).sum().item()
        changed -= policy.gather(1, target).sum().item()
        divergence += (policy.exp() * (policy - reference)).sum().item()
        tokens += len(target)
    return Cost(math.exp(plain / tokens), math.exp(changed / tokens), divergence / tokens)


def _logits(base: BaseModel, ids: torch.Tensor) -> torch.Tensor:
    hidden = base.decoder(input_ids=ids, use_cache=False).last_hidden_state[0, :-1]
    return base.logits(hidden).float()
