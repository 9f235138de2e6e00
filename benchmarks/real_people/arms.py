"""What each arm says about one person's held-out conversation. Everything was fixed before any result.

Layer at 0.47 of the depth and norm 0.15 of the mean hidden norm, as elsewhere in this project; directions by
the method `steer` in closed form. Nothing is tuned on these people: there are too few to tune on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.real_people.data import Fold, earlier_turns
from personalization import registry
from personalization.evaluation.controls import LAYER_SHARE, STRENGTH
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions
from personalization.models.personal import SteeringVectors
from personalization.models.preference import Scored, score
from personalization.records import Pair
from personalization.steering.capture import mean_states

PRIOR_PAIRS = 4.0  # the other people count as much as this many pairs of one's own
RANDOM = 5  # directions for each fold; their outcomes are averaged


class Arms:
    """One base model, with the hidden states of the pairs as they are asked for."""

    def __init__(self, base: BaseModel, *, random_directions: int = RANDOM) -> None:
        self._base, self._random = base, random_directions
        self._layer = int(LAYER_SHARE * len(base.layers))
        self._interventions = Interventions(base)
        self._known: dict[tuple[str, ...], Tensor] = {}  # by the pair's row: (2, hidden), chosen first

    def outcomes(self, fold: Fold) -> dict[str, list[float]]:
        """Return for each arm and held-out pair 1 (prefers what the person chose), 0, or between."""
        plain = self._score(fold.held_out, Row())
        shown = earlier_turns(fold.own)
        told = self._score([replace(p, prompt=(*shown, *p.prompt)) for p in fold.held_out], Row())
        own, norm = self._direction(fold.own)
        others, _ = self._direction(fold.others)
        steered = self._steered(fold.held_out, own * norm)
        found = {
            "longer": plain.longer(torch.ones(len(fold.held_out))),
            "base": plain.likelihood(),
            "in_context": told.implicit_reward(plain),
            "in_context_likelihood": told.likelihood(),
            "others": self._steered(fold.held_out, others * norm).implicit_reward(plain),
            "own": steered.implicit_reward(plain),
            "own_likelihood": steered.likelihood(),
            "shrunk": self._steered(
                fold.held_out, shrunk(own, others, pairs=len(fold.own)) * norm
            ).implicit_reward(plain),
        }
        every = []
        for seed in range(self._random):
            generator = torch.Generator().manual_seed(1000 * seed + int(fold.held_out[0].sources[0]))
            anywhere = normalize(torch.randn(own.shape, generator=generator), dim=0)
            every.append(self._steered(fold.held_out, anywhere * norm).implicit_reward(plain))
        found["random"] = [sum(each) / len(each) for each in zip(*every, strict=True)]
        return found

    def _score(self, pairs: Sequence[Pair], row: Row) -> Scored:
        return score(self._base, self._interventions, pairs, row=row, system_message="")

    def _steered(self, pairs: Sequence[Pair], vector: Tensor) -> Scored:
        acting = SteeringVectors({(self._layer, "output"): vector})
        return self._score(pairs, Row(vectors=((acting, STRENGTH),)))

    def _direction(self, pairs: Sequence[Pair]) -> tuple[Tensor, float]:
        """Return the unit direction (hidden,) from rejected to chosen, and the mean hidden norm."""
        missing = [pair for pair in pairs if pair.sources not in self._known]
        items = [(pair.prompt, text) for pair in missing for text in (pair.chosen, pair.rejected)]
        if items:
            states = mean_states(self._base, Completions.encode(self._base, items))[:, self._layer]
            for pair, both in zip(missing, states.split(2), strict=True):
                self._known[pair.sources] = both
        states = torch.cat([self._known[pair.sources] for pair in pairs])
        groups = [i for i in range(len(pairs)) for _ in range(2)]
        found: Any = registry.get("steer").function(states[:, None], [1.0, 0.0] * len(pairs), groups)
        return found[0], states.norm(dim=-1).mean().item()


def shrunk(own: Tensor, others: Tensor, *, pairs: int) -> Tensor:
    """Return the unit direction between a person's own and the others', the nearer to it the more pairs."""
    weight = pairs / (pairs + PRIOR_PAIRS)
    return normalize(weight * own + (1 - weight) * others, dim=0)
