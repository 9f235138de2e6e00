"""What an artifact is compared with beyond the base model, all on the same held-out pairs.

Examples of the person's own taste in the prompt, a change of the same size in a random direction, and
what other people's taste would have taught. The other people are invented (`personalization.simulation`):
what a real person taught a model is theirs, and never read for somebody else's proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from personalization import registry
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions
from personalization.models.personal import LoraWeights, SteeringVectors
from personalization.models.preference import Scored, score
from personalization.records import Message, Pair
from personalization.simulation.people import population
from personalization.statistics import Estimate, clustered_mean, clustered_share
from personalization.steering.capture import mean_states
from personalization.training.select import widest_pairs

SHOTS = 3  # examples in the prompt: more leave a small model no room
READ_PAIRS = 32  # whose answers the invented people judge
# Where and how strongly other people's vector acts when the artifact is no vector itself.
LAYER_SHARE, STRENGTH = 0.47, 0.15


@dataclass(frozen=True, slots=True)
class Comparison:
    """How often an arm prefers the person's choice, and how much more often the artifact does (paired)."""

    accuracy: Estimate
    ahead: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return both, JSON-ready."""
        return asdict(self)


def clearest_of_each(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the widest pair of each conversation: what many arms can be tried on in little time."""
    widest: dict[str, Pair] = {}
    for pair in pairs:
        if pair.conversation not in widest or pair.margin > widest[pair.conversation].margin:
            widest[pair.conversation] = pair
    return list(widest.values())


def compare(
    base: BaseModel,
    interventions: Interventions,
    held_out: Sequence[Pair],
    learned: Sequence[Pair],
    row: Row,
    *,
    system_message: str,
    seed: int,
) -> dict[str, Comparison]:
    """Return every arm by implicit reward over the base model under the same system message.

    `learned` are the pairs that the artifact learned from. Without them only chance is compared with.
    """
    pairs = clearest_of_each(held_out)

    def scored(acting: Row, before: Sequence[Message] = ()) -> Scored:
        return score(base, interventions, pairs, row=acting, system_message=system_message, before=before)

    plain = scored(Row())
    clusters, own = plain.conversations, scored(row).implicit_reward(plain)
    arms: dict[str, Callable[[], Scored]] = {"random": lambda: scored(random_row(row, seed=seed))}
    if learned:
        arms["in_context"] = lambda: scored(Row(), examples(learned))
        arms["others"] = lambda: scored(others_row(base, interventions, learned, row))
    found = {"artifact": own, **{name: arm().implicit_reward(plain) for name, arm in arms.items()}}
    return {
        name: Comparison(
            clustered_share(right, clusters),
            clustered_mean([a - b for a, b in zip(own, right, strict=True)], clusters, seed=seed),
        )
        for name, right in found.items()
    }


def examples(learned: Sequence[Pair]) -> tuple[Message, ...]:
    """Return the answers that the person preferred most clearly, as earlier turns of the conversation.

    As Lin et al. 2023 (arXiv:2312.01552) show theirs.
    """
    best: dict[tuple[Message, ...], Pair] = {}
    for pair in sorted(learned, key=lambda pair: -pair.margin):
        best.setdefault(pair.prompt, pair)
    chosen = list(best.values())[:SHOTS]
    return tuple(m for pair in chosen for m in (pair.prompt[-1], Message("assistant", pair.chosen)))


def random_row(row: Row, *, seed: int) -> Row:
    """Return a row of the same norm everywhere, in random directions; adapters keep their rank."""
    generator = torch.Generator().manual_seed(seed)

    def like(tensor: Tensor) -> Tensor:
        return torch.randn(tensor.shape, generator=generator)

    def matrices(down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
        a, b = like(down), like(up)
        return a, b * (_product_norm(down, up) / _product_norm(a, b))

    return Row(
        adapters=tuple(
            (LoraWeights({name: matrices(*halves) for name, halves in weights.modules.items()}), strength)
            for weights, strength in row.adapters
        ),
        vectors=tuple(
            (
                SteeringVectors(
                    {site: functional.normalize(like(v), dim=0) * v.norm() for site, v in found.sites.items()}
                ),
                strength,
            )
            for found, strength in row.vectors
        ),
    )


def others_row(base: BaseModel, interventions: Interventions, learned: Sequence[Pair], row: Row) -> Row:
    """Return what invented people would have taught a vector by judging the same answers.

    At the layers and norms of the artifact's own vectors, or as vectors are usual where it has none.
    """
    read = widest_pairs(learned, aim=0, most_per_conversation=1)[:READ_PAIRS]
    items = [(pair.prompt, text) for pair in read for text in (pair.chosen, pair.rejected)]
    with interventions.everywhere(Row()):
        states = mean_states(base, Completions.encode(base, items))
    groups, direction = [i // 2 for i in range(len(items))], torch.zeros(states.shape[1:])
    for person in population():
        tastes = [person.taste(text) for _, text in items]
        if any(a != b for a, b in zip(tastes[::2], tastes[1::2], strict=True)):
            direction += registry.get("steer").function(states, tastes, groups)
    unit = functional.normalize(direction, dim=-1)
    sites = {
        (layer, site): vector.norm().item() * strength
        for found, strength in row.vectors
        for (layer, site), vector in found.sites.items()
        if site == "output"
    }
    if not sites:
        layer = math.floor(LAYER_SHARE * len(base.layers))
        sites = {(layer, "output"): STRENGTH * states[:, layer].norm(dim=-1).mean().item()}
    vectors = SteeringVectors({place: unit[place[0]] * norm for place, norm in sites.items()})
    return Row(vectors=((vectors, 1.0),))


def _product_norm(down: Tensor, up: Tensor) -> Tensor:
    """Return the Frobenius norm of down @ up without making it: (in, r) and (r, out)."""
    return ((down.T @ down) * (up @ up.T)).sum().clamp(min=0).sqrt()
