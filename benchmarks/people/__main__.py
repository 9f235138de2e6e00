"""How much closer a person's feedback brings the model to them, by method and number of rated prompts.

    python -m benchmarks.people [--json FILE] [--quick] [--people 12] [--seeds 3] [--prompts 1 2 4 8 16 32]

Twelve simulated people (five clean tastes, two noisy hands, three mixtures, two who choose in circles)
rate the same four sampled answers to each prompt. Fresh answers to 24 other prompts are judged by the
hidden taste without noise, against the base model's answer with the same seed. Finished cells are kept
in --folder and not computed again: on two cores everything takes many hours, nearly all for adapters.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.people import arms
from benchmarks.people.arms import Rated, Shape
from benchmarks.people.pool import FRESH, RATED, answers, pool_of, states_of
from benchmarks.people.results import Cell, Cells, summary, table
from personalization.engine.local import LocalEngine
from personalization.evaluation.report import row_of
from personalization.models.base import BaseModel, load
from personalization.models.cost import measure_cost
from personalization.models.interventions import Interventions, Row
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.simulation.people import population
from personalization.steering.soundness import repetition

ROWS = 128  # answers at once: nobody waits for the first token here


class Study:
    """Everything that the cells of all seeds share."""

    def __init__(self, base: BaseModel, folder: Path, people: int, *, rated: int, fresh: int) -> None:
        self._base, self._folder = base, folder
        self._engine = LocalEngine(base, max_rows=ROWS, queue_limit=1_000_000)
        self._people = population()[:people]
        self._sizes = {"rated_prompts": rated, "fresh_prompts": fresh}
        self.cells = Cells(folder / "cells.jsonl")

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def run(self, seed: int, prompts: int, wanted: Sequence[str]) -> None:
        """Compute every cell of this seed and number of prompts that is not there yet."""
        pool = pool_of(seed, self._engine, self._folder, **self._sizes)
        states = states_of(pool, self._base, self._folder)
        everybody = [Rated.by(person, pool) for person in self._people]
        made: dict[str, Callable[[Rated], Shape]] = {
            "system_message": arms.system_message,
            "in_context": lambda r: arms.in_context(r, prompts),
            "vector": lambda r: arms.vector(r, states, prompts, self._folder),
            "random_vector": lambda r: arms.random_vector(r, states, prompts, self._folder),
            "others_vector": lambda r: arms.others_vector(r, everybody, states, prompts, self._folder),
            "adapter": lambda r: arms.adapter(r, self._base, prompts, self._folder),
        }
        made["both"] = lambda r: arms.both(made["adapter"](r), made["vector"](r))
        for arm in wanted:
            due = [r for r in everybody if (r.person.description, seed, prompts, arm) not in self.cells]
            # Adapters take minutes each, so each is kept when it is done; the others share one batch.
            for some in [[r] for r in due] if arm in ("adapter", "both") else [due] if due else []:
                self._add(arm, prompts, some, [made[arm](rated) for rated in some])
                _tell(f"seed {seed}, {prompts} prompts, {arm}: {len(some)} of {len(everybody)} people")

    def _add(self, arm: str, prompts: int, people: Sequence[Rated], shapes: Sequence[Shape]) -> None:
        pool = people[0].pool
        asked = [
            ((*shape.head, Message("user", prompt)), pool.sampling(i), shape.interventions)
            for shape in shapes
            for i, prompt in enumerate(pool.fresh)
        ]
        texts = answers(self._engine, asked)
        base_relevance = _mean(relevance(pool.fresh, pool.base))
        for at, (rated, shape) in enumerate(zip(people, shapes, strict=True)):
            own = texts[at * len(pool.fresh) : (at + 1) * len(pool.fresh)]
            self.cells.add(
                Cell(
                    rated.person.description,
                    pool.seed,
                    prompts,
                    arm,
                    [rated.person.prefers(mine, base) for mine, base in zip(own, pool.base, strict=True)],
                    _mean(relevance(pool.fresh, own)),
                    base_relevance,
                    _mean([repetition(text) for text in own]),
                    _mean([repetition(text) for text in pool.base]),
                    _mean([float(len(text.split())) for text in own]),
                    self._perplexity_ratio(shape),
                    shape.seconds,
                )
            )

    def _perplexity_ratio(self, shape: Shape) -> float | None:
        if not shape.interventions:
            return None
        rows = [row_of(each.path, each.kind) for each in shape.interventions]
        row = Row(
            adapters=tuple(a for r in rows for a in r.adapters),
            vectors=tuple(v for r in rows for v in r.vectors),
        )
        interventions = Interventions(self._base)
        try:
            return measure_cost(self._base, interventions, row).ratio
        finally:
            interventions.remove()


def main() -> None:
    """Compute what is missing, then print the table and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=12, help="how many of the twelve, in their order")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, nargs="+", default=[32, 4, 1, 2, 8, 16])
    parser.add_argument("--arms", nargs="+", default=arms.ARMS, choices=arms.ARMS)
    parser.add_argument(
        "--quick", action="store_true", help="2 people, 1 seed, 8 rated and 8 fresh prompts, without adapters"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/benchmarks/people"))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rated, fresh = RATED, FRESH
    if options.quick:
        rated = fresh = 8
        options.folder = options.folder / "quick"
        options.people, options.seeds, options.prompts = 2, 1, [8]
        options.arms = [arm for arm in options.arms if arm not in ("adapter", "both")]
    begun = time.monotonic()
    base = load(options.model, options.models)
    study = Study(base, options.folder / base.revision, options.people, rated=rated, fresh=fresh)
    try:
        for prompts in options.prompts:
            for seed in range(options.seeds):
                study.run(seed, prompts, options.arms)
    finally:
        study.close()
    found = summary(study.cells.all())
    found |= {"machine": machine(), "commit": commit(), "seconds": time.monotonic() - begun}
    print(table(found))
    print(
        "best: {method} after {prompts} prompts, {win_rate:.2f} [{low:.2f}, {high:.2f}]".format(
            **found["best"]
        )
    )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def machine() -> str:
    """Return what it ran on."""
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def commit() -> str:
    """Return the commit of the working tree, empty outside of a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
