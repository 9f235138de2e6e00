"""Compute the cells of the methods benchmark: each method for each person, kept as they come."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import time
from dataclasses import replace
from itertools import product
from math import inf
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.kept import begun
from benchmarks.methods.feedback import records_of, settings_of
from benchmarks.methods.results import HELD_OUT, Cell, Cells, key_of
from benchmarks.outcomes import mean
from benchmarks.people.arms import Rated, system_message
from benchmarks.people.pool import Chat, Pool, answers, pool_of
from personalization import registry
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.errors import NotEnoughData
from personalization.evaluation.report import row_of
from personalization.models.base import BaseModel, load
from personalization.models.cost import Cost, measure_cost, plain_logps
from personalization.models.interventions import Interventions, Row
from personalization.models.precision import half_precision, precision_of
from personalization.models.preference import score
from personalization.models.relevance import relevance
from personalization.progress import Progress
from personalization.records import Message, Records
from personalization.registry import Method
from personalization.simulation.people import SimulatedPerson, population
from personalization.steering.judge import judge_of
from personalization.steering.taste import taste_of
from personalization.training import selection
from personalization.training.revise import language_pairs
from personalization.training.train import TrainingResult, train_adapter
from personalization.values.effects import place

VALUES = Path("var/values")  # the way to the subject, where it was built here and not shipped
PUBLISHED = Path("docs/benchmarks/methods-raw")  # cells and texts of the runs that the page shows
FIRST_SEED = 50  # of the texts: no answer that `benchmarks.people` asks for
# DPO of so much of the feedback, chosen before learning (`training.selection`), beside DPO of all.
KEPT = 0.5
SELECTING = tuple(f"dpo:{way}" for way in selection.WAYS)


class OutOfTime(Exception):
    """The time that was given is over; what was begun goes on from there the next time."""


class Study:
    """Everything that the cells of one run share; `until` is the monotonic time at which it stops.

    `is_quick`: one epoch without replay, which shows that everything works and nothing else.
    """

    def __init__(
        self,
        base: BaseModel,
        folder: Path,
        *,
        rated: int,
        fresh: int,
        until: float = inf,
        is_quick: bool = False,
    ) -> None:
        self._base, self._folder, self._until, self._is_quick = base, folder, until, is_quick
        self._dtype = precision_of(base)
        self._engine = LocalEngine(base, max_rows=128, queue_limit=1_000_000)
        self._sizes = {"rated_prompts": rated, "fresh_prompts": fresh}
        self._plain: list[Tensor] = []
        self.cells = Cells(folder / "cells.jsonl")

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def draw(self, seed: int) -> Pool:
        """Return what everybody rates; drawn once."""
        return pool_of(FIRST_SEED + seed, self._engine, self._folder, **self._sizes)

    def compute(self, person: SimulatedPerson, seed: int, name: str, prompts: int, *, taught: bool) -> None:
        """Compute one cell, if it is not there yet. Raises OutOfTime, and then keeps what was learned."""
        method, kept_by = method_of(name)
        parameters = method.resolve({})
        key = key_of(person.description, seed, method.data, name, prompts, taught, self._dtype, parameters)
        if key in self.cells.found:
            return
        rated = Rated.by(person, self.draw(seed))
        self._look()
        trained = self._folder / f"cell-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}"
        try:
            found, read, head, seconds = self._train(
                rated, method, prompts, trained, taught=taught, kept_by=kept_by
            )
        except NotEnoughData as error:  # a method that wants a judge, which would be chance
            print(f"{person.description}, seed {seed}: {name}: {error}", file=sys.stderr, flush=True)
            return
        out = trained / "adapter"
        texts, cost = self._answers(rated.pool, head, out), self._cost(out)
        safety = self._engine.gate(Intervention("adapter", out, str(out)))
        fresh, before = rated.pool.fresh, rated.pool.base
        cosine = found.entanglement[-1]["cosine"] if found.entanglement else None
        self.cells.add(
            Cell(
                person.description,
                seed,
                method.data,
                name,
                prompts,
                taught,
                parameters,
                [person.prefers(mine, base) for mine, base in zip(texts, before, strict=True)],
                mean(relevance(fresh, texts)) - mean(relevance(fresh, before)),
                mean([float(len(text.split())) for text in texts]),
                cost.ratio,
                cost.kl_to_base,
                found.metrics["chosen_change"],
                found.metrics["rejected_change"],
                cosine,
                read,
                seconds,
                self._dtype,
                round(safety.overshoot, 3),
                self._held_out(rated, prompts, head, out),
            )
        )
        shutil.rmtree(trained)
        print(f"{person.description}, seed {seed}: {name}, {prompts} prompts", file=sys.stderr, flush=True)

    def _look(self, _: Progress | None = None) -> None:
        if time.monotonic() > self._until:
            raise OutOfTime

    def _train(
        self, rated: Rated, method: Method, prompts: int, folder: Path, *, taught: bool, kept_by: str
    ) -> tuple[TrainingResult, int, Chat, float]:
        """Train one adapter; return what it did, how many answers it read, what stands before prompts.

        And the processor's seconds, of all runs where it took several: other work beside it does not count.
        """
        records = records_of(rated, method.data, prompts)
        pairs = records_of(rated, "pairs", prompts)
        if method.data == "critiques":
            records = self._revised(records, rated.pool.seed)
        head = system_message(rated).head if method.data == "contrasts" else ()
        message = head[0].content if head else ""
        settings, read = settings_of(records, method.data, pairs, system_message=message, taught=taught)
        if kept_by:
            settings = replace(settings, kept_share=KEPT, kept_by=kept_by)
        if self._is_quick:
            settings, read = replace(settings, epochs=1, replay=0.0), read // settings.epochs
        subject = place(VALUES, self._base.revision)
        spent, begun = folder / "seconds", time.process_time()
        before = float(spent.read_text()) if spent.exists() else 0.0

        def look(progress: Progress) -> None:
            folder.mkdir(parents=True, exist_ok=True)
            spent.write_text(str(before + time.process_time() - begun))
            self._look(progress)

        found = train_adapter(
            self._base,
            records,
            method,
            parameters=method.resolve({}),
            system_message=message,
            out=folder / "adapter",
            checkpoints=folder / "checkpoints",
            teacher=taste_of(self._base, pairs.pairs, subject) if taught else None,
            seed=rated.pool.seed,
            settings=settings,
            report=look,
            judge=judge_of(self._base, pairs.pairs) if method.draws else None,
        )
        return found, read, head, float(spent.read_text())

    def _revised(self, records: Records, seed: int) -> Records:
        """Add the pairs that critiques taught. Raises NotEnoughData where nobody can judge them."""
        judge = judge_of(self._base, records.pairs)
        if judge is None:
            raise NotEnoughData("the comparisons make no judge", missing=1)
        revised = language_pairs(self._base, records.critiques, (), judge, seed=seed, report=self._look)
        return replace(records, revised=revised)

    def _answers(self, pool: Pool, head: Chat, out: Path) -> list[str]:
        acting = (Intervention("adapter", out, str(out)),)
        asked = [
            ((*head, Message("user", prompt)), pool.sampling(i), acting)
            for i, prompt in enumerate(pool.fresh)
        ]
        return answers(self._engine, asked)

    def _held_out(self, rated: Rated, prompts: int, head: Chat, out: Path) -> float | None:
        """Return how often it prefers what the person did, where it learned nothing; None without more."""
        pairs = [p for p in rated.pairs(prompts + HELD_OUT) if int(p.conversation) >= prompts]
        if not pairs:
            return None
        message = head[0].content if head else ""
        base, own = (
            score(self._base, Interventions(self._base), pairs, row=row, system_message=message)
            for row in (Row(), row_of(out, "adapter"))
        )
        return round(mean(own.implicit_reward(base)), 4)

    def _cost(self, out: Path) -> Cost:
        self._plain = self._plain or plain_logps(self._base)
        return measure_cost(self._base, Interventions(self._base), row_of(out, "adapter"), self._plain)


def method_of(name: str) -> tuple[Method, str]:
    """Return the registered method of a name such as "dpo" or "dpo:similarity", and by what is selected."""
    name, _, kept_by = name.partition(":")
    return registry.get(name), kept_by


def compute(options: argparse.Namespace, folder: Path, until: float, share: int = 0, shares: int = 1) -> None:
    """Compute the missing cells of every `shares`-th person from `share` on; clean tastes come first."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // shares))
    base = load(options.model, options.models)
    sizes = {"rated": options.rated, "fresh": options.fresh}
    with half_precision(base):
        study = Study(base, folder, until=until, is_quick=options.quick, **sizes)
        asked = product(
            options.prompts,
            range(options.seeds),
            options.methods,
            population()[: options.people][share::shares],
        )
        try:
            for prompts, seed, name, person in asked:
                study.compute(person, seed, name, prompts, taught=options.taught)
        except OutOfTime:
            pass
        finally:
            study.close()


def draw(options: argparse.Namespace, recipe: str) -> Path:
    """Draw what every share reads; return this run's folder, begun with what was published of it."""
    base = load(options.model, options.models)
    folder = begun(options, f"{base.revision}-{recipe}", PUBLISHED)
    with half_precision(base):
        study = Study(base, folder, rated=options.rated, fresh=options.fresh)
        try:
            for seed in range(options.seeds):
                study.draw(seed)
        finally:
            study.close()
    return folder


def publish(folder: Path) -> None:
    """Keep a run's cells and texts beside its page, so that anybody can check them or go on from there."""
    target = PUBLISHED / folder.name
    target.mkdir(parents=True, exist_ok=True)
    for file in [folder / "cells.jsonl", *folder.glob("pool-*.json")]:
        shutil.copy2(file, target / file.name)
