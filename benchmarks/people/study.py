"""Compute the cells of the people benchmark: every arm for every person, kept as they come."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.kept import begun
from benchmarks.outcomes import mean
from benchmarks.people import arms
from benchmarks.people.arms import Rated, Shape
from benchmarks.people.pool import Chat, Pool, answers, pool_of, states_of, usual_relevance
from benchmarks.people.results import Cell, Cells
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.evaluation.report import row_of
from personalization.evaluation.tradeoff import scaled
from personalization.models.base import BaseModel, load
from personalization.models.cost import measure_cost, plain_logps
from personalization.models.interventions import Interventions, Row
from personalization.models.precision import half_precision, precision_of
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.simulation.people import population
from personalization.steering.soundness import repetition
from personalization.values.effects import place

VALUES = Path("var/values")  # the way to the subject, where it was built here and not shipped
PUBLISHED = Path("docs/benchmarks/people-raw")  # cells and texts of the run that the page shows
ROWS = 128  # answers at once: nobody waits for the first token here


class Study:
    """Everything that the cells of all seeds share; of the people, only `mine` get cells here."""

    def __init__(
        self,
        base: BaseModel,
        folder: Path,
        people: int,
        *,
        rated: int,
        fresh: int,
        draws: int,
        mine: slice = slice(None),
    ) -> None:
        self._base, self._folder = base, folder
        self._engine = LocalEngine(base, max_rows=ROWS, queue_limit=1_000_000)
        self._people, self._mine = population()[:people], mine
        self._draws = draws
        self._sizes = {"rated_prompts": rated, "fresh_prompts": fresh}
        self.cells = Cells(folder / "cells.jsonl")
        self._known: dict[tuple[int, Chat, tuple[Intervention, ...]], list[str]] = {}

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def draw(self, seed: int) -> tuple[Pool, Tensor]:
        """Return what everybody rates, with its hidden states; drawn once, as is what it is compared with."""
        pool = pool_of(seed, self._engine, self._folder, **self._sizes)
        usual_relevance(pool, self._engine, self._folder, self._draws)
        return pool, states_of(pool, self._base, self._folder)

    def run(self, seed: int, prompts: int, wanted: Sequence[str]) -> None:
        """Compute every cell of this seed and number of prompts that is not there yet."""
        pool, states = self.draw(seed)
        everybody = [Rated.by(person, pool) for person in self._people]
        subject = place(VALUES, self._base.revision)
        vectors = arms.Vectors(states, self._folder, subject)
        made: dict[str, Callable[[Rated], Shape]] = {
            "system_message": arms.system_message,
            "in_context": lambda r: arms.in_context(r, prompts),
            "vector": lambda r: vectors.own(r, prompts),
            "gated_vector": lambda r: arms.gated(vectors.own(r, prompts), self._engine.gate),
            "random_vector": lambda r: vectors.random(r, prompts),
            "others_vector": lambda r: vectors.of_others(r, everybody, prompts),
            "adapter": lambda r: arms.adapter(r, self._base, prompts, self._folder, subject),
        }
        made["both"] = lambda r: arms.both(made["adapter"](r), made["vector"](r))
        for arm in wanted:
            due = [
                r
                for r in everybody[self._mine]
                if (r.person.description, seed, prompts, arm) not in self.cells
            ]
            # Adapters take minutes each, so each is kept when it is done; the others share one batch.
            for some in [[r] for r in due] if arm in arms.TRAINED else [due] if due else []:
                self._add(arm, prompts, some, [made[arm](rated) for rated in some])
                _tell(
                    f"seed {seed}, {prompts} prompts, {arm}: {', '.join(r.person.description for r in some)}"
                )

    def _add(self, arm: str, prompts: int, people: Sequence[Rated], shapes: Sequence[Shape]) -> None:
        pool = people[0].pool
        texts = self._answers(pool, shapes)
        base_relevance = usual_relevance(pool, self._engine, self._folder, self._draws)
        for at, (rated, shape) in enumerate(zip(people, shapes, strict=True)):
            own = texts[at]
            self.cells.add(
                Cell(
                    rated.person.description,
                    pool.seed,
                    prompts,
                    arm,
                    [rated.person.prefers(mine, base) for mine, base in zip(own, pool.base, strict=True)],
                    mean(relevance(pool.fresh, own)),
                    base_relevance,
                    mean([repetition(text) for text in own]),
                    mean([repetition(text) for text in pool.base]),
                    mean([float(len(text.split())) for text in own]),
                    self._perplexity_ratio(shape),
                    shape.seconds,
                    round(shape.gated_to, 3),
                )
            )

    def _answers(self, pool: Pool, shapes: Sequence[Shape]) -> list[list[str]]:
        """Return each shape's answers to the fresh prompts; what acts alike is asked once."""
        keys = [(pool.seed, shape.head, shape.interventions) for shape in shapes]
        due = [key for key in dict.fromkeys(keys) if key not in self._known]
        asked = [
            ((*head, Message("user", prompt)), pool.sampling(i), acting)
            for _, head, acting in due
            for i, prompt in enumerate(pool.fresh)
        ]
        texts, each = answers(self._engine, asked), len(pool.fresh)
        self._known |= {key: texts[at * each : (at + 1) * each] for at, key in enumerate(due)}
        return [self._known[key] for key in keys]

    @cached_property
    def _plain(self) -> list[Tensor]:
        """What the base model makes of neutral text."""
        return plain_logps(self._base)

    def _perplexity_ratio(self, shape: Shape) -> float | None:
        if not shape.interventions:
            return None
        rows = [scaled(row_of(each.path, each.kind), each.strength) for each in shape.interventions]
        row = Row(
            adapters=tuple(a for r in rows for a in r.adapters),
            vectors=tuple(v for r in rows for v in r.vectors),
        )
        return measure_cost(self._base, Interventions(self._base), row, self._plain).ratio


def compute(options: argparse.Namespace, folder: Path, share: int = 0, shares: int = 1) -> None:
    """Compute every `shares`-th person's missing cells, from person `share` on."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // shares))
    base = load(options.model, options.models)
    sizes = {"rated": options.rated, "fresh": options.fresh, "draws": options.draws}
    with half_precision(base, wanted=not options.exact):
        study = Study(base, folder, options.people, mine=slice(share, None, shares), **sizes)
        try:
            for prompts in options.prompts:
                for seed in range(options.seeds):
                    study.run(seed, prompts, options.arms)
        finally:
            study.close()


def draw(options: argparse.Namespace) -> tuple[Path, str]:
    """Draw what every share reads; return this run's folder and the precision."""
    base = load(options.model, options.models)
    dtype = precision_of(base, wanted=not options.exact)
    folder = begun(options, f"{base.revision}-{dtype}-{arms.recipe()}", PUBLISHED)
    with half_precision(base, wanted=not options.exact):
        study = Study(
            base, folder, options.people, rated=options.rated, fresh=options.fresh, draws=options.draws
        )
        try:
            for seed in range(options.seeds):
                study.draw(seed)
        finally:
            study.close()
    return folder, dtype


def texts_for(base: BaseModel, dtype: str, folder: Path = Path("var/benchmarks/people")) -> Path:
    """Return where the texts that everybody rates are kept, for benchmarks that rate the same ones.

    What was published is the base model's in whatever precision: its states are read in this one.
    """
    own = folder / f"{base.revision}-{dtype}-{arms.recipe()}"
    for file in PUBLISHED.glob(f"{base.revision}-*/pool-*.json"):
        own.mkdir(parents=True, exist_ok=True)
        if not (own / file.name).exists():
            shutil.copy2(file, own / file.name)
    return own


def publish(folder: Path) -> None:
    """Keep a run's cells and texts beside its page, so that anybody can check them or go on from there."""
    target = PUBLISHED / folder.name
    target.mkdir(parents=True, exist_ok=True)
    for file in [folder / "cells.jsonl", *folder.glob("pool-*.json"), *folder.glob("relevance-*.json")]:
        shutil.copy2(file, target / file.name)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
