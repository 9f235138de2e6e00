"""The goals that compete, and the adapters that are trained for each and for all of them at once.

Learning sees ratings only. What is trained on everybody's data gets exactly the pairs that the single
adapters learn from, the same number of times.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.people.arms import Rated
from benchmarks.people.pool import Pool, pool_of
from benchmarks.people.study import PUBLISHED, VALUES
from personalization import registry
from personalization.engine.local import LocalEngine
from personalization.models.base import BaseModel
from personalization.records import Pair, Records
from personalization.simulation.people import SimulatedPerson, population
from personalization.steering.taste import taste_of
from personalization.training.select import used_pairs
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter
from personalization.values.effects import place

# Plain words stretch an answer that should be brief, and a list is neither: each adapter costs the others.
GOALS: Mapping[str, SimulatedPerson] = dict(
    zip(("plain words", "brief", "lists"), population(), strict=False)
)
MIXED = "mixed data"


def draw(seed: int, engine: LocalEngine, folder: Path, *, rated: int, fresh: int) -> Pool:
    """Return the seed's prompts and answers; those that the people benchmark published are used again."""
    if not (folder / f"pool-{seed}.json").exists():
        for known in sorted(PUBLISHED.glob(f"{folder.name}-*/pool-{seed}.json")):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(known, folder / known.name)
    found = pool_of(seed, engine, folder, rated_prompts=rated, fresh_prompts=fresh)
    return replace(
        found,
        rated=found.rated[:rated],
        candidates=found.candidates[:rated],
        fresh=found.fresh[:fresh],
        base=found.base[:fresh],
    )


def adapters(base: BaseModel, pool: Pool, folder: Path) -> dict[str, Path]:
    """Train one adapter for each goal and one on all their data, each once; return their folders.

    What is interrupted goes on from its checkpoint at the next call.
    """
    settings = TrainingSettings()
    by_goal = {
        goal: used_pairs(Rated.by(person, pool).pairs(len(pool.rated)), settings)
        for goal, person in GOALS.items()
    }
    everybody = [
        replace(pair, conversation=f"{goal} {pair.conversation}")
        for goal, pairs in by_goal.items()
        for pair in pairs
    ]
    found = {goal: _trained(base, pool, folder, goal, pairs, settings) for goal, pairs in by_goal.items()}
    together = replace(settings, pairs_aimed_at=len(GOALS) * settings.pairs_aimed_at)
    return {**found, MIXED: _trained(base, pool, folder, MIXED, everybody, together)}


def _trained(
    base: BaseModel, pool: Pool, folder: Path, name: str, pairs: Sequence[Pair], settings: TrainingSettings
) -> Path:
    out = folder / f"{name.replace(' ', '-')}-{pool.seed}"
    if not (out / "adapter_config.json").exists():
        dpo = registry.get("dpo")
        train_adapter(
            base,
            Records(pairs=tuple(pairs)),
            dpo,
            parameters=dpo.resolve({}),
            system_message="",
            out=out,
            checkpoints=folder / f"{out.name}-checkpoints",
            teacher=taste_of(base, pairs, place(VALUES, base.revision)),
            seed=pool.seed,
            settings=settings,
        )
    return out
