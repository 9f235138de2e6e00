"""What a person's steering vector makes of the training answers, for an adapter to learn as its own.

The closed form of all ratings (`personalization.steering.instant`) generalises well from little, but pushes
every text alike. An adapter that learns to write as the steered model does (distillation, Hinton et al. 2015,
arXiv:1503.02531; of what stands in a context, Snell et al. 2022, arXiv:2209.15189) has the vector's effect in
answers only, and learns from pairs what a vector cannot say. Knows nothing of losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row, SteeringVectors
from personalization.models.logprobs import Completions, answer_states, decoded


@dataclass(frozen=True)
class Teacher:
    """The steered decoder's output at each answer's tokens: (tokens, hidden), one for each entry."""

    states: Sequence[Tensor] = field(repr=False)

    @classmethod
    @torch.no_grad()
    def of(cls, base: BaseModel, texts: Completions, vectors: SteeringVectors) -> Teacher:
        """Read every answer with the vectors acting. One forward pass for each."""
        interventions, found = Interventions(base), []
        try:
            with interventions.everywhere(Row(vectors=((vectors, 1.0),))):
                for i in range(len(texts)):
                    one = texts.take([i])
                    found.append(answer_states(one, decoded(base, one))[1])
        finally:
            interventions.remove()
        return cls(found)

    def of_entries(self, indices: Sequence[int]) -> Tensor:
        """Return what the head reads for these entries' answers, one after the other: (tokens, hidden)."""
        return torch.cat([self.states[i] for i in indices])
