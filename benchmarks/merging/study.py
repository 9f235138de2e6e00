"""Compute the cells: every arm's fresh answers, judged by every goal against the base model's."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.merging.goals import GOALS, adapters, draw
from benchmarks.merging.results import Cell, Cells
from benchmarks.outcomes import mean
from benchmarks.people.pool import Pool, answers
from benchmarks.people.study import ROWS
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.merging import registry
from personalization.merging.conflict import conflicts
from personalization.merging.merge import merge, read, write
from personalization.models.base import BaseModel, load
from personalization.models.precision import half_precision, precision_of
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.simulation.people import SimulatedPerson


def compute(options: argparse.Namespace) -> tuple[Path, str]:
    """Compute every cell that is not there yet, one at a time; return the run's folder and precision."""
    torch.set_num_threads(options.threads)
    base = load(options.model, options.models)
    dtype = precision_of(base, wanted=not options.exact)
    folder = options.folder / f"{base.revision}-{dtype}"
    with half_precision(base, wanted=not options.exact):
        engine = LocalEngine(base, max_rows=ROWS, queue_limit=1_000_000)
        try:
            for seed in range(options.seeds):
                _seed(base, engine, folder, seed, options)
        finally:
            engine.close()
    return folder, dtype


def _seed(base: BaseModel, engine: LocalEngine, folder: Path, seed: int, options: argparse.Namespace) -> None:
    cells = Cells(folder / "cells.jsonl")
    wanted = [way for way in options.ways if (seed, way) not in cells]
    pool = draw(seed, engine, folder, rated=options.rated, fresh=options.fresh)
    trained = adapters(base, pool, folder)
    for arm, path in trained.items():
        if (seed, arm) not in cells:
            cells.add(_cell(engine, pool, arm, path))
    parents = [read(trained[goal]) for goal in GOALS]
    if not cells.conflicts(seed):
        cells.keep_conflicts(seed, [each.as_dict() for each in conflicts(parents)])
    for way in wanted:
        begun = time.monotonic()
        found = merge(parents, [1.0] * len(parents), registry.get(way), {})
        seconds = time.monotonic() - begun
        out = folder / f"merged-{way}-{seed}"
        write(found, out, base_name=base.name)
        cells.add(_cell(engine, pool, way, out, rank=found.rank, loss=found.loss, seconds=seconds))
        shutil.rmtree(out)


def _cell(
    engine: LocalEngine,
    pool: Pool,
    arm: str,
    path: Path,
    *,
    rank: int | None = None,
    loss: float = 0.0,
    seconds: float = 0.0,
) -> Cell:
    acting = (Intervention("adapter", path, path.name),)
    asked = [((Message("user", p),), pool.sampling(i), acting) for i, p in enumerate(pool.fresh)]
    texts = answers(engine, asked)
    print(f"seed {pool.seed}: {arm}", file=sys.stderr, flush=True)
    near = relevance(pool.fresh, texts), relevance(pool.fresh, pool.base)
    return Cell(
        pool.seed,
        arm,
        {goal: _wins(person, texts, pool.base) for goal, person in GOALS.items()},
        mean(near[0]) - mean(near[1]),
        mean([float(len(text.split())) for text in texts]),
        rank,
        loss,
        seconds,
    )


def _wins(person: SimulatedPerson, texts: Sequence[str], base: Sequence[str]) -> list[float]:
    return [person.prefers(own, other) for own, other in zip(texts, base, strict=True)]
