"""Give a model a person's answers by one rank-1 change of its last layer, in closed form.

The associative-memory edit of MEMIT (Meng et al. 2023, arXiv:2210.07229, equation 14) with one value
direction u: the second MLP projection of the last layer becomes W + u w^T, where

    w = K (K^T K + penalty I)^-1 s,   K: what the layer holds at each statement, s: the push each needs

u moves the five answer words apart in equal steps, and s is what makes the expected answer the wished
one. Everything but s depends on the base model only, so a person costs one product. `w` avoids what the
layer holds on ordinary text, by the covariance of that text (their C_0). Knows nothing of where the
wishes come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.personal import LoraWeights
from personalization.steering.scale import WORDS, Reading, Scale, expected, usual_of

STEPS = torch.arange(len(WORDS), dtype=torch.float32) - (len(WORDS) - 1) / 2
# Both trade nearness to the wishes against spill into ordinary text. On SmolLM2-135M, penalty 0.01 and
# weight 0.1 made neutral text up to 1.25 times as surprising; these 1.01 times on average.
PENALTY = 0.1  # of the mean square of the keys
ORDINARY = 0.05  # weight of ordinary text against the statements
# Nobody is asked to be quite certain: the push towards 1 and 5 would have no end.
LOWEST, HIGHEST = 1.15, 4.85
GREATEST_PUSH = 8.0


@dataclass(frozen=True)
class AnswerEditor:
    """What one base model needs to take on anybody's answers to a set of statements."""

    module: str  # the projection that is changed
    solver: Tensor  # (statements, width): push at each statement -> reading vector w
    direction: Tensor  # (hidden,): u
    usual: Tensor  # (orders, 5)
    plain: Tensor  # (statements, 5): the base model's calibrated log-probabilities

    @classmethod
    def prepare(cls, base: BaseModel, scale: Scale, reading: Reading, ordinary: Tensor) -> AnswerEditor:
        """Build from the base model's `reading` and keys of `ordinary` text (tokens, width)."""
        keys, usual = reading.keys.mean(dim=0), usual_of(reading)
        size = keys.square().mean()
        gram = PENALTY * size * torch.eye(keys.shape[1]) + keys.T @ keys
        gram += ORDINARY * len(keys) * (ordinary.T @ ordinary) / len(ordinary)
        norm: Any = base.decoder.norm
        head: Any = base.model.get_output_embeddings()
        words = (head.weight[scale.tokens] * norm.weight).float().cpu()
        scale_of_hidden = reading.hidden.square().mean(dim=-1).sqrt().mean()
        direction = torch.linalg.pinv(words - words.mean(dim=0)) @ STEPS * scale_of_hidden
        names = {module: name for name, module in base.model.named_modules()}
        layer: Any = base.layers[-1]
        plain = (reading.logps - usual[:, None]).mean(dim=0)
        return cls(names[layer.mlp.down_proj], torch.linalg.solve(gram, keys.T).T, direction, usual, plain)

    def reading_vector(self, wished: Tensor) -> Tensor:
        """Return w (..., width) for wished answers (..., statements), 1 to 5."""
        return self._push(wished.clamp(LOWEST, HIGHEST)) @ self.solver

    def adapter(self, wished: Tensor) -> LoraWeights:
        """Return the rank-1 adapter for one person's wished answers (statements,)."""
        return LoraWeights({self.module: (self.reading_vector(wished)[:, None], self.direction[None])})

    def answers(self, scale: Scale, reading: Reading, w: Tensor) -> Tensor:
        """Return the edited model's expected answers (statements,).

        From the base model's `reading`, exactly: only the last layer differs, and at the last position.
        """
        push = reading.keys @ w  # (orders, statements)
        return expected(scale.logps(reading.hidden + push[..., None] * self.direction), self.usual)

    def _push(self, wished: Tensor) -> Tensor:
        """Return the push whose expected answer is the wished one, by bisection."""
        low = torch.full_like(wished, -GREATEST_PUSH)
        high = -low
        for _ in range(30):
            middle = (low + high) / 2
            shares = (self.plain + middle[..., None] * STEPS).softmax(dim=-1)
            below = (shares * (STEPS + 3)).sum(dim=-1) < wished
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2


@torch.no_grad()
def ordinary_keys(base: BaseModel, texts: list[list[int]]) -> Tensor:
    """Return what the last layer's second MLP projection is given on these token lists: (tokens, width)."""
    found: list[Tensor] = []
    layer: Any = base.layers[-1]
    handle = layer.mlp.down_proj.register_forward_pre_hook(
        lambda _, given: found.append(given[0][0, 1:].float().cpu())  # the first token is like no other
    )
    try:
        for ids in texts:
            base.decoder(input_ids=torch.tensor([ids], device=base.device), use_cache=False)
    finally:
        handle.remove()
    return torch.cat(found)
