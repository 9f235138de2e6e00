"""What each arm puts in front of, or into, the model for one person with their first n rated prompts.

Learning sees ratings only. Controls stand beside what they control: a random direction and the mean of
the other people's directions, both with the vector's norm and layer.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.people.pool import CANDIDATES, Chat, Pool
from personalization import registry
from personalization.engine.requests import Intervention
from personalization.models.base import BaseModel
from personalization.records import Message, Pair, RatedGroup
from personalization.simulation.people import SimulatedPerson
from personalization.steering.instant import Sums, layers_of
from personalization.steering.learn import FOLDS, RatedStates
from personalization.training.train import train_adapter
from personalization.values.composer import Own, compose

ARMS = (
    "system_message",
    "in_context",
    "random_vector",
    "others_vector",
    "instant",
    "vector",
    "adapter",
    "both",
)
SHOTS = 3  # rated answers shown in the in-context arm: more leave the small model no room
# Without enough prompts to choose a layer and a strength by cross-validation, as measured on other prompts.
LAYER_SHARE, STRENGTH = 0.47, 0.3


@dataclass(frozen=True, slots=True)
class Shape:
    """What acts on the answers of one arm, and what it took to learn it."""

    head: Chat = ()
    interventions: tuple[Intervention, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Rated:
    """One person's ratings of a seed's candidates, prompt by prompt."""

    person: SimulatedPerson
    pool: Pool
    scores: tuple[tuple[int, ...], ...]

    @classmethod
    def by(cls, person: SimulatedPerson, pool: Pool) -> Rated:
        """Let a person rate everything once."""
        rng = random.Random(f"{pool.seed} {person.description}")  # noqa: S311 - a simulation
        return cls(person, pool, tuple(tuple(person.rate_together(g, rng)) for g in pool.candidates))

    def groups(self, count: int) -> list[RatedGroup]:
        """Return the first `count` prompts with their rated answers."""
        return [
            RatedGroup(str(i), (), (Message("user", self.pool.rated[i]),), tuple(texts), scores)
            for i, (texts, scores) in enumerate(zip(self.pool.candidates, self.scores, strict=True))
        ][:count]

    def pairs(self, count: int) -> list[Pair]:
        """Return every two of their answers that were rated apart."""
        return [
            Pair(g.conversation, (), g.prompt, better, worse, (high - low) / 100)
            for g in self.groups(count)
            for better, high in zip(g.completions, g.scores, strict=True)
            for worse, low in zip(g.completions, g.scores, strict=True)
            if high > low and better != worse
        ]


def system_message(rated: Rated) -> Shape:
    """Say in words what the person states."""
    own = [Own(text, 5 - i) for i, text in enumerate(rated.person.stated_values)]
    return Shape(head=(Message("system", compose([], own, {}).text),))


def in_context(rated: Rated, count: int) -> Shape:
    """Show the best-rated answers as earlier turns (as Lin et al. 2023, arXiv:2312.01552, show theirs)."""
    best = sorted(rated.groups(count), key=lambda g: -max(g.scores))[:SHOTS]
    turns: list[Message] = []
    for group in best:
        answer = group.completions[group.scores.index(max(group.scores))]
        turns += [*group.prompt, Message("assistant", answer)]
    return Shape(head=tuple(turns))


def direction(rated: Rated, states: Tensor, count: int) -> tuple[int, Tensor]:
    """Return (layer, vector with its norm) learned from the first `count` prompts, in closed form."""
    groups, kept = rated.groups(count), states[: count * CANDIDATES]
    ratings = RatedStates(kept, groups, seed=rated.pool.seed)
    method = registry.get("steer")
    if count >= FOLDS:
        layer, _ = ratings.best_layer(method)
    else:
        layer = math.floor(LAYER_SHARE * states.shape[1])
    unit: Tensor = method.function(kept, ratings.scores, ratings.groups)[layer]
    return layer, unit * kept[:, layer].norm(dim=-1).mean() * STRENGTH


def vector(rated: Rated, states: Tensor, count: int, folder: Path) -> Shape:
    """Learn the person's vector and write it where an engine finds it."""
    begun = time.monotonic()
    layer, learned = direction(rated, states, count)
    return Shape((), (saved(layer, learned, folder),), time.monotonic() - begun)


def instant(rated: Rated, states: Tensor, count: int, folder: Path) -> Shape:
    """Use the closed form that follows every rating, as strong as the evidence carries."""
    begun = time.monotonic()
    layers = layers_of(states.shape[1])
    sums = Sums(layers)
    kept = states[:, list(layers)].numpy()
    for i, scores in enumerate(rated.scores[:count]):
        sums.put(str(i), kept[i * CANDIDATES : (i + 1) * CANDIDATES], scores)
    found = sums.direction()
    if found is None:
        return Shape(seconds=time.monotonic() - begun)
    acting = saved(found.layer, torch.from_numpy(found.vector), folder)
    return Shape((), (acting,), time.monotonic() - begun)


def random_vector(rated: Rated, states: Tensor, count: int, folder: Path) -> Shape:
    """Point the same length anywhere at the same layer."""
    layer, learned = direction(rated, states, count)
    generator = torch.Generator().manual_seed(rated.pool.seed)
    anywhere = torch.nn.functional.normalize(torch.randn(learned.shape, generator=generator), dim=-1)
    return Shape((), (saved(layer, anywhere * learned.norm(), folder),))


def others_vector(rated: Rated, others: Sequence[Rated], states: Tensor, count: int, folder: Path) -> Shape:
    """Use what the other people's ratings of the same answers say, at this person's layer and norm."""
    layer, learned = direction(rated, states, count)
    method, kept = registry.get("steer"), states[: count * CANDIDATES]
    total = torch.zeros_like(learned)
    for other in others:
        if other.person.description != rated.person.description:
            ratings = RatedStates(kept, other.groups(count), seed=0)
            total += method.function(kept, ratings.scores, ratings.groups)[layer]
    return Shape((), (saved(layer, torch.nn.functional.normalize(total, dim=-1) * learned.norm(), folder),))


def adapter(rated: Rated, base: BaseModel, count: int, folder: Path) -> Shape:
    """Train the application's adapter on the pairs that the ratings imply."""
    begun = time.monotonic()
    out = folder / f"adapter-{_key(rated.pool.seed, rated.person.description, count, base.revision)}"
    dpo = registry.get("dpo")
    if not (out / "adapter_config.json").exists():
        train_adapter(
            base,
            rated.pairs(count),
            dpo,
            parameters=dpo.resolve({}),
            system_message="",
            out=out,
            checkpoints=folder / f"{out.name}-checkpoints",
            seed=rated.pool.seed,
        )
    return Shape((), (Intervention("adapter", out, out.name),), time.monotonic() - begun)


def both(one: Shape, other: Shape) -> Shape:
    """Let two shapes act together."""
    return replace(
        one,
        interventions=(*one.interventions, *other.interventions),
        seconds=one.seconds + other.seconds,
    )


def saved(layer: int, learned: Tensor, folder: Path) -> Intervention:
    """Write a vector of one layer where an engine finds it."""
    name = f"vector-{_key(layer, learned.tolist())}"
    (folder / name).mkdir(parents=True, exist_ok=True)
    save_file({f"layer.{layer}.output": learned.contiguous()}, folder / name / "steering.safetensors")
    return Intervention("vector", folder / name, name)


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
