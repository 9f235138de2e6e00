"""What each arm puts in front of, or into, the model for one person with their first n rated prompts.

Learning sees ratings only. Controls stand beside what they control: a random direction and the mean of
the other people's directions, both with the vector's norm and layer.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from benchmarks.people.pool import CANDIDATES, Chat, Pool
from personalization import registry
from personalization.engine.requests import Intervention
from personalization.models.base import BaseModel
from personalization.records import Message, Pair, RatedGroup, Records
from personalization.safety.gate import Gate
from personalization.safety.weaken import weakened
from personalization.simulation.people import SimulatedPerson
from personalization.steering import instant
from personalization.steering.instant import Direction, Sums, layers_of, read_subject, write_vector
from personalization.steering.taste import AS_TEACHER, MOST_PROMPTS, taste_of
from personalization.training import replay, run, select
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter
from personalization.values.composer import Own, compose

ARMS = (
    *("system_message", "in_context", "random_vector", "others_vector", "vector", "gated_vector"),
    *("adapter", "both"),
)
TRAINED = ("adapter", "both")  # minutes each, the first time
SHOTS = 3  # rated answers shown in the in-context arm: more leave the small model no room


def recipe() -> str:
    """Return a name for the settings that the cells depend on: cells of other settings are other cells."""
    vector = (instant.DEPTHS, instant.LIMIT, instant.SUBJECT, instant.FULL, instant.PRIOR_AGREEMENT)
    adapted = (
        (TrainingSettings(), select.OFF_TOPIC, select.TOPIC_EVERY, run.SINKING_NATS, run.ANCHOR),
        (replay.TEXTS, replay.TOKENS, replay.EACH_STEP, MOST_PROMPTS, AS_TEACHER),
    )
    return _key(SHOTS, vector, adapted, sorted(registry.get("dpo").resolve({}).items()))[:8]


@dataclass(frozen=True, slots=True)
class Shape:
    """What acts on the answers of one arm, and what it took to learn it."""

    head: Chat = ()
    interventions: tuple[Intervention, ...] = ()
    seconds: float = 0.0
    gated_to: float = 1.0  # the share of its weakest part that the safety gate lets act


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


class Vectors:
    """The closed form that the application follows every rating with, for everybody who rated one pool."""

    def __init__(self, states: Tensor, folder: Path, subject: Path) -> None:
        self._layers = layers_of(states.shape[1])
        self._states = states[:, list(self._layers)].numpy()
        self._folder, self._subject = folder, read_subject(subject, self._layers)

    def own(self, rated: Rated, count: int) -> Shape:
        """Use what the person's first `count` prompts say, as strong as that evidence carries."""
        begun = time.monotonic()
        found = self._direction(rated, count)
        acting = (self._saved(found),) if found else ()
        return Shape((), acting, time.monotonic() - begun)

    def random(self, rated: Rated, count: int) -> Shape:
        """Point the same lengths anywhere at the same layers."""
        found = self._direction(rated, count)
        if found is None:
            return Shape()
        anywhere = np.random.default_rng(rated.pool.seed).normal(size=found.units.shape)
        return Shape((), (self._saved(_turned(found, anywhere)),))

    def of_others(self, rated: Rated, others: Sequence[Rated], count: int) -> Shape:
        """Use what the other people's ratings of the same answers say, at this person's layers and norms."""
        found = self._direction(rated, count)
        if found is None:
            return Shape()
        theirs = [
            self._direction(other, count)
            for other in others
            if other.person.description != rated.person.description
        ]
        total = np.sum([each.units for each in theirs if each is not None], axis=0)
        return Shape((), (self._saved(_turned(found, total)),))

    def _direction(self, rated: Rated, count: int) -> Direction | None:
        sums = Sums(self._layers)
        for i, scores in enumerate(rated.scores[:count]):
            sums.put(str(i), self._states[i * CANDIDATES : (i + 1) * CANDIDATES], scores)
        return sums.direction(self._subject)

    def _saved(self, found: Direction) -> Intervention:
        name = f"vector-{_key(found.layers, found.vectors.tolist())}"
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        write_vector(found, self._folder / name)
        return Intervention("vector", self._folder / name, name)


def _turned(found: Direction, towards: npt.NDArray[Any]) -> Direction:
    """Return a direction of the same lengths at the same layers whose taste points elsewhere."""
    units = towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-9)
    return replace(found, units=units.astype(np.float32))


def adapter(rated: Rated, base: BaseModel, count: int, folder: Path, subject: Path) -> Shape:
    """Train the application's adapter on the pairs that the ratings imply, as `workers.pipeline` does."""
    begun = time.monotonic()
    out = folder / f"adapter-{_key(rated.pool.seed, rated.person.description, count, base.revision)}"
    dpo = registry.get("dpo")
    if not (out / "adapter_config.json").exists():
        train_adapter(
            base,
            Records(pairs=tuple(rated.pairs(count))),
            dpo,
            parameters=dpo.resolve({}),
            system_message="",
            out=out,
            checkpoints=folder / f"{out.name}-checkpoints",
            teacher=taste_of(base, rated.pairs(count), subject),
            seed=rated.pool.seed,
        )
    return Shape((), (Intervention("adapter", out, out.name),), time.monotonic() - begun)


def gated(shape: Shape, ask: Callable[[Intervention], Gate]) -> Shape:
    """Let each part of a shape act as strongly as the safety gate lets it, as the application does."""
    parts = [_gated(part, ask) for part in shape.interventions]
    acting = tuple(part for part in parts if part.strength > 0)
    return replace(shape, interventions=acting, gated_to=min((part.strength for part in parts), default=1.0))


def _gated(part: Intervention, ask: Callable[[Intervention], Gate]) -> Intervention:
    share, gate = weakened(lambda share: ask(replace(part, strength=share)))
    return replace(part, strength=0.0 if gate.objection else share)


def both(one: Shape, other: Shape) -> Shape:
    """Let two shapes act together."""
    return replace(
        one,
        interventions=(*one.interventions, *other.interventions),
        seconds=one.seconds + other.seconds,
    )


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
