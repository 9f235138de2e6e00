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

from personalization.models.base import BaseModel
from personalization.models.head import Said
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions, answer_states, decoded
from personalization.models.personal import SteeringVectors


@dataclass(frozen=True)
class Teacher:
    """What the head says of the steered decoder's output at each answer's tokens, one for each entry."""

    said: Sequence[Said] = field(repr=False)

    @classmethod
    @torch.no_grad()
    def of(cls, base: BaseModel, texts: Completions, vectors: SteeringVectors) -> Teacher:
        """Read every answer with the vectors acting. One forward pass for each."""
        interventions, found = Interventions(base), []
        try:
            with interventions.everywhere(Row(vectors=((vectors, 1.0),))):
                for i in range(len(texts)):
                    one = texts.take([i])
                    found.append(Said.of(base, answer_states(one, decoded(base, one))[1]))
        finally:
            interventions.remove()
        return cls(found)

    def of_entries(self, indices: Sequence[int]) -> Said:
        """Return the same for these entries' answers as one, their tokens one after the other."""
        return Said.joined(self.said[i] for i in indices)
