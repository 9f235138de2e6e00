"""What the vector from ratings gains and costs: one layer or four, with the way to the subject or without.

    python -m benchmarks.vector_cost [--norms 0.06 0.08 0.11] [--people 5] [--rated 32] [--json FILE]

The limits in `personalization.steering.instant` come from here. Simulated people rate four of the value
directions' samples for each prompt; fresh answers to 24 other prompts are compared with the base model's of
the same seed, and a random direction of the same norm stands beside. No prompt of any other benchmark is
used, and nobody of `benchmarks.people`. Norms are shares of the mean hidden norm, in each of the layers.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from personalization import registry
from personalization.directions.learn import towards_subject
from personalization.directions.pool import Asked, Pool, answers, engine_of, pool_of
from personalization.engine.requests import Intervention
from personalization.models.base import BaseModel, load
from personalization.models.personal import save_vectors
from personalization.models.precision import half_precision
from personalization.models.relevance import relevance
from personalization.simulation.people import SimulatedPerson, draw_person
from personalization.statistics import clustered_mean
from personalization.steering.instant import layers_of
from personalization.steering.learn import Placed
from personalization.values.prompts import CHOICE, POOL

RATED_ANSWERS, LAST_RATED = 4, 32
FRESH = (*CHOICE, *POOL[LAST_RATED : LAST_RATED + 8])
FRESH_SEED = 3_000_000
FIRST_PERSON = 100  # a seed of `draw_person`


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a vector acts, and whether the way to the subject stands beside the taste."""

    name: str
    layers: Sequence[int]
    keeps_to_subject: bool = False
    is_random: bool = False


class Study:
    """The rated samples of one base model, and its own answers to the fresh prompts."""

    def __init__(self, base: BaseModel, pool: Pool, rated: int, folder: Path) -> None:
        self._base, self._pool, self._rated, self._folder = base, pool, rated, folder
        self._fit = registry.get("steer").function
        self._subject = towards_subject(pool)
        self._norms = pool.states.norm(dim=-1).mean(dim=0)
        self._plain = self._write([()])[0]
        self._near = relevance(FRESH, self._plain)

    def taste(self, person: SimulatedPerson) -> Tensor:
        """Return the unit directions (layers, hidden) of what a person's ratings say."""
        rng = random.Random(person.description)  # noqa: S311 - a simulation
        scores, at, groups = [], [], []
        for i in range(self._rated):
            scores += person.rate_together(list(self._pool.answers[i][:RATED_ANSWERS]), rng)
            at += [i * len(self._pool.answers[i]) + j for j in range(RATED_ANSWERS)]
            groups += [i] * RATED_ANSWERS
        found: Tensor = self._fit(self._pool.states[at], scores, groups)
        return found

    def compare(self, shape: Shape, norm: float, people: Sequence[SimulatedPerson]) -> dict[str, Any]:
        """Return win rate and change of relevance with intervals over people, and words."""
        acting = [(self._saved(shape, norm, self.taste(person), i),) for i, person in enumerate(people)]
        texts = self._write(acting)
        wins, near = [], []
        for person, own in zip(people, texts, strict=True):
            wins += [person.prefers(a, b) for a, b in zip(own, self._plain, strict=True)]
            near += [a - b for a, b in zip(relevance(FRESH, own), self._near, strict=True)]
        whose = [i for i in range(len(people)) for _ in FRESH]
        every = [len(text.split()) for own in texts for text in own]
        return {
            "shape": shape.name,
            "norm": norm,
            "win_rate": clustered_mean(wins, whose).as_dict(),
            "relevance": clustered_mean(near, whose).as_dict(),
            "words": sum(every) / len(every),
        }

    def _saved(self, shape: Shape, norm: float, taste: Tensor, person: int) -> Intervention:
        if shape.is_random:
            taste = normalize(
                torch.randn(taste.shape, generator=torch.Generator().manual_seed(person)), dim=-1
            )
        layers = list(shape.layers)
        subject = self._subject[layers].numpy() if shape.keeps_to_subject else None
        name = f"{shape.name}-{norm}-{person}".replace(" ", "-")
        placed = Placed(layers, self._norms[layers], subject)
        save_vectors(placed.vectors(taste, norm), self._folder / name)
        return Intervention("vector", self._folder / name, name)

    def _write(self, acting: Sequence[tuple[Intervention, ...]]) -> list[list[str]]:
        asked = [Asked(p, FRESH_SEED + i, each) for each in acting for i, p in enumerate(FRESH)]
        with engine_of(self._base) as engine:
            texts = answers(engine, asked)
        return [texts[i : i + len(FRESH)] for i in range(0, len(texts), len(FRESH))]


def shapes_of(layers: int) -> list[Shape]:
    """Return what is compared."""
    four, middle = layers_of(layers), round(0.47 * layers)
    return [
        Shape("one layer", [middle]),
        Shape("four layers", four),
        Shape("four layers and subject", four, keeps_to_subject=True),
        Shape("random, four layers and subject", four, keeps_to_subject=True, is_random=True),
    ]


def main() -> None:
    """Measure and print one line for each shape and norm."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--norms", type=float, nargs="+", default=[0.06, 0.08, 0.11])
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--rated", type=int, default=LAST_RATED, help=f"prompts, at most {LAST_RATED}")
    parser.add_argument("--values", type=Path, default=Path("var/values"))
    parser.add_argument("--folder", type=Path, default=Path("var/benchmarks/vector_cost"))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    base = load(options.model, options.models)
    people = [draw_person(FIRST_PERSON + i) for i in range(options.people)]
    found = []
    with half_precision(base):
        pool = pool_of(base, options.values / base.revision, tell=lambda words: print(words, flush=True))
        study = Study(base, pool, min(options.rated, LAST_RATED), options.folder)
        for shape in shapes_of(len(base.layers)):
            # The norm of one layer stands for four: as long in all.
            for norm in (n * (1 if len(shape.layers) > 1 else 2) for n in options.norms):
                found.append(study.compare(shape, norm, people))
                print(_line(found[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def _line(row: dict[str, Any]) -> str:
    win, near = row["win_rate"], row["relevance"]
    return (
        f"{row['shape']:32} {row['norm']:.2f}  wins {win['value']:.2f} [{win['low']:.2f}, {win['high']:.2f}]"
        f"  near {near['value']:+.3f} [{near['low']:+.3f}, {near['high']:+.3f}]  {row['words']:.0f} words"
    )


if __name__ == "__main__":
    main()
