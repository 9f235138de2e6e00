"""What a warm start wins: fresh answers with the vector of one or two prompts, with it and without.

Judged as in `benchmarks.people`, whose published cells are those without it: same prompts, same seeds.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.kept import Kept
from benchmarks.outcomes import mean
from benchmarks.people import arms
from benchmarks.people.pool import answers, usual_relevance
from benchmarks.priors import people_cells
from benchmarks.warm_start.study import EACH_RATES, Row, Seed, starts
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.simulation.people import SimulatedPerson
from personalization.steering import shared
from personalization.steering.instant import Direction, write_vector
from personalization.steering.shared import Floats, Start

# `alone_as_strong`: without a start, as strong as with both: what is gained is the direction, not the push.
FRESH = (
    ("alone_as_strong", 1),
    *(("stated", size) for size in (1, 2)),
    *(("stated_and_strangers", size) for size in (1, 2, 4)),
)
ALONE = (1, 2, 4, 8)  # prompts of the vector without a start, as published


def fresh_rows(
    seeds: Sequence[Seed],
    people: Sequence[SimulatedPerson],
    directions: Mapping[str, Floats],
    subject: NDArray[np.float32] | None,
    engine: LocalEngine,
    folder: Path,
) -> list[Row]:
    """Return one row for each person, seed, arm and number of prompts: wins, and the relevance gained.

    What `folder` has is not answered again.
    """
    kept = Kept(folder / f"warm-start-{_recipe()}.jsonl")
    known = {(r["person"], r["seed"], r["arm"], r["prompts"]) for r in kept.rows}
    for seed in seeds:
        begun = starts(seed, people, directions)
        for arm, size in FRESH:
            due = [p for p in people if (p.description, seed.pool.seed, arm, size) not in known]
            if not due:
                continue
            them = [(p, _vector(seed, p, size, arm, begun[p.description], subject)) for p in due]
            for row in _answered(seed, arm, size, them, engine, folder):
                kept.add(row)
            print(f"seed {seed.pool.seed}: {arm}, {size} prompts", file=sys.stderr, flush=True)
    names, numbers = {p.description for p in people}, {seed.pool.seed for seed in seeds}
    return [
        *_published(names, numbers),
        *(r for r in kept.rows if r["seed"] in numbers and r["person"] in names),
    ]


def _vector(
    seed: Seed,
    person: SimulatedPerson,
    size: int,
    arm: str,
    begun: Mapping[str, Start | None],
    subject: NDArray[np.float32] | None,
) -> Direction | None:
    if arm != "alone_as_strong":
        return seed.direction(person, range(size), subject, begun[arm])
    alone = seed.direction(person, range(size), subject)
    started = seed.direction(person, range(size), subject, begun["stated_and_strangers"])
    return replace(alone, strength=started.strength) if alone and started else alone


def _recipe() -> str:
    """Return a name for the settings that the cells depend on: cells of other settings are other cells."""
    told = (shared.AXES, shared.PRIVACY, shared.FEWEST_PEOPLE, shared.PART_PROMPTS, EACH_RATES, "harmony")
    return hashlib.sha256(repr((told, arms.recipe())).encode()).hexdigest()[:8]


def _answered(
    seed: Seed,
    arm: str,
    size: int,
    them: Sequence[tuple[SimulatedPerson, Direction | None]],
    engine: LocalEngine,
    folder: Path,
) -> list[Row]:
    pool, asked = seed.pool, []
    for person, found in them:
        place = folder / f"start-{pool.seed}-{arm}-{size}-{person.description.replace(' ', '-')}"
        acting: tuple[Intervention, ...] = ()
        if found is not None:
            place.mkdir(parents=True, exist_ok=True)
            write_vector(found, place)
            acting = (Intervention("vector", place, str(place)),)
        asked += [
            ((Message("user", prompt),), pool.sampling(i), acting) for i, prompt in enumerate(pool.fresh)
        ]
    texts, each, rows = answers(engine, asked), len(pool.fresh), []
    usual = usual_relevance(pool, engine, folder)
    for at, (person, _) in enumerate(them):
        own = texts[at * each : (at + 1) * each]
        wins = [person.prefers(mine, base) for mine, base in zip(own, pool.base, strict=True)]
        change = mean(relevance(pool.fresh, own)) - usual
        rows.append(_row(person.description, pool.seed, arm, size, mean(wins), change))
    return rows


def _published(people: set[str], seeds: set[int]) -> list[Row]:
    return [
        _row(c.person, c.seed, "alone", c.prompts, mean(c.wins), c.relevance - c.base_relevance)
        for c in people_cells()
        if c.arm == "vector" and c.prompts in ALONE and c.person in people and c.seed in seeds
    ]


def _row(person: str, seed: int, arm: str, prompts: int, wins: float, relevance_change: float) -> Row:
    return {
        "person": person,
        "seed": seed,
        "arm": arm,
        "prompts": prompts,
        "wins": wins,
        "relevance": relevance_change,
    }
