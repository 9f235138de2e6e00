"""How near a model comes to what 150 real people answered, and what it costs to align one person.

    python -m benchmarks.papi [--json FILE] [--page FOLDER] [--quick] [--people N] [--orders 10]

Learned from: each person's 120 answered items. Judged on: the 180 held-out ones, mean absolute error,
answers from 1 to 5, intervals over people. What other people answered comes from other folds' people
only. "ours" completes a person's answers by what people like them answered and writes the result into
the model in closed form; "ours_alone" writes in nothing but the person's own 120 answers. Arms that run
or train the model for each person take a random part of the people, named in the result; "ours" is also
given on that part. Finished people are kept in --folder; without --quick about two hours on two cores.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import plots
from benchmarks.kept import Kept, options_of
from benchmarks.machine import commit, machine
from benchmarks.papi import arms
from benchmarks.papi.data import FOLDER, Answers, People
from personalization.models.base import BaseModel, load
from personalization.models.cost import measure_cost, plain_logps
from personalization.models.generate import short_answers
from personalization.models.interventions import Interventions, Row
from personalization.models.prompts import encode_text
from personalization.records import Message
from personalization.simulation.prompts import draw_prompts
from personalization.statistics import Estimate, clustered_mean
from personalization.steering.edit import AnswerEditor, ordinary_keys
from personalization.steering.scale import Reading, Scale, orders, usual_of

RIDGES = (30.0, 100.0, 300.0)
SLOW = ("prompting", "few_shot", "pas", "pas_leak", "dpo")
ORDINARY_PROMPTS, ORDINARY_TOKENS = 40, 80


class Study:
    """The people, the model, and the errors of each arm: arm -> person -> errors on held-out items."""

    def __init__(self, base: BaseModel, people: People, folder: Path, *, order_count: int, seed: int) -> None:
        self.base, self.people, self._folder, self._seed = base, people, folder, seed
        self.errors: dict[str, dict[int, list[float]]] = {}
        self.seconds: dict[str, list[float]] = {"ours": [], "dpo": []}
        self.prepare_seconds = 0.0
        self._scale = Scale(base)
        self._orders = orders(order_count)
        self.cost: list[float] = []
        self.folds = people.folds(seed)

    def add(self, arm: str, person: int, predicted: Answers) -> None:
        """Keep one person's errors in one arm."""
        self.errors.setdefault(arm, {})[person] = self.people.errors(person, predicted)

    def guesses(self) -> None:
        """Judge what needs no model."""
        people = self.people
        domains = [facet[0] for facet in people.facets]
        for fold in range(self.folds.max() + 1):
            out = self.folds == fold
            item_mean = np.nanmean(people.answers[~out], axis=0)
            ridge = people.ridge(out, self._best_ridge(out))
            for person, by_ridge in zip(np.flatnonzero(out), ridge, strict=True):
                who = int(person)
                self.add("always_3", who, np.full(len(item_mean), 3.0))
                self.add("item_mean_of_others", who, item_mean)
                self.add("own_facet_mean", who, people.own_mean(who, people.facets))
                self.add("own_domain_mean", who, people.own_mean(who, domains))
                self.add("ridge_on_others", who, by_ridge)

    def _best_ridge(self, out: Any) -> float:
        """Choose the penalty on other people only: a fifth of them is left out in turn."""
        inner = np.random.default_rng(self._seed).permutation(len(out)) % 5
        errors = {}
        for penalty in RIDGES:
            errors[penalty] = 0.0
            for fold in range(5):
                left = (inner == fold) & ~out
                gaps = np.abs(
                    self.people.ridge(left | out, penalty)[~out[left | out]] - self.people.answers[left]
                )
                errors[penalty] += float(np.nansum(gaps[:, self.people.held_out]))
        return min(errors, key=errors.__getitem__)

    def ours(self) -> None:
        """Write each person into the model and read it."""
        begun = time.monotonic()
        reading = self._scale.read(self.people.statements, self._orders, tick=lambda: _tell("."))
        self.editor = AnswerEditor.prepare(self.base, self._scale, reading, self._ordinary)
        alone = self._editor_of_learned(reading)
        self.prepare_seconds = time.monotonic() - begun
        plain = self.editor.answers(self._scale, reading, torch.zeros(reading.keys.shape[-1])).numpy()
        for fold in range(self.folds.max() + 1):
            out = self.folds == fold
            population = self.people.population(out)
            for person in np.flatnonzero(out):
                self._one(int(person), population.complete, reading, alone, plain)

    def _one(
        self,
        person: int,
        complete: Callable[[Answers], Answers],
        reading: Reading,
        alone: AnswerEditor,
        plain: Answers,
    ) -> None:
        begun = time.monotonic()
        known = self.people.shown(person)
        completed = complete(known)
        wished = torch.tensor(np.where(np.isnan(known), completed, known), dtype=torch.float32)
        w = self.editor.reading_vector(wished)
        self.seconds["ours"].append(time.monotonic() - begun)
        self.add("ours", person, self.editor.answers(self._scale, reading, w).numpy())
        self.add("completion_without_model", person, completed)
        own = wished[self.people.learned]
        only = alone.reading_vector(torch.nan_to_num(own, nan=3.0))
        self.add("ours_alone", person, self.editor.answers(self._scale, reading, only).numpy())
        self.add("base", person, plain)
        if person % 25 == 0:
            interventions = Interventions(self.base)
            row = Row(adapters=((self.editor.adapter(wished), 1.0),))
            self.cost.append(measure_cost(self.base, interventions, row, self._plain).ratio)
            interventions.remove()

    def _editor_of_learned(self, reading: Reading) -> AnswerEditor:
        at = torch.tensor(self.people.learned)
        part = Reading(reading.logps[:, at], reading.keys[:, at], reading.hidden[:, at])
        return AnswerEditor.prepare(self.base, self._scale, part, self._ordinary)

    @cached_property
    def _ordinary(self) -> torch.Tensor:
        """Keys of the base model's own answers to everyday prompts, sampled once."""
        prompts, _ = draw_prompts(self._seed, rated=ORDINARY_PROMPTS, fresh=1)
        chats = [[Message("user", prompt)] for prompt in prompts]
        texts = short_answers(
            self.base, chats, seed=self._seed, max_new_tokens=ORDINARY_TOKENS, temperature=1.0
        )
        return ordinary_keys(self.base, [encode_text(self.base, t) for t in texts if t])

    @cached_property
    def _plain(self) -> list[torch.Tensor]:
        """What the base model makes of neutral text."""
        return plain_logps(self.base)

    def slow(self, chosen: Sequence[int], wanted: Sequence[str], *, epochs: int, pairs: int) -> None:
        """Judge the arms that run the model for each person; finished people are read from the folder."""
        kept = Kept(self._folder / "people.jsonl")
        for row in kept.rows:
            self.errors.setdefault(row["arm"], {})[row["person"]] = row["errors"]
            self.seconds["dpo"] += [row["seconds"]] if row["arm"] == "dpo" else []
        asked = arms.ASKED
        usual = usual_of(self._scale.read(self.people.statements, asked))
        reader = arms.Reader(self.base, self._scale, self.people, usual, self._folder)
        plain = reader.scores() if {"pas", "pas_leak"} & set(wanted) else np.zeros(0)
        for person in chosen:
            made: dict[str, Callable[[], dict[str, tuple[Answers, float]]]] = {
                "dpo": lambda p=person: {"dpo": arms.dpo(reader, p, epochs=epochs, pairs_aimed_at=pairs)},  # type: ignore[misc]
                "prompting": lambda p=person: {"prompting": (arms.prompting(reader, p), 0.0)},  # type: ignore[misc]
                "few_shot": lambda p=person: {"few_shot": (arms.few_shot(reader, p), 0.0)},  # type: ignore[misc]
                "pas": lambda p=person: {k: (v, 0.0) for k, v in arms.pas(reader, p, plain).items()},  # type: ignore[misc]
            }
            for arm, make in made.items():
                if arm not in wanted or person in self.errors.get(arm, {}):
                    continue
                for name, (predicted, seconds) in make().items():
                    self.add(name, person, predicted)
                    row = {
                        "arm": name,
                        "person": person,
                        "errors": self.errors[name][person],
                        "seconds": seconds,
                    }
                    kept.add(row)
                    self.seconds["dpo"] += [seconds] if name == "dpo" else []
                    _tell(f"person {person}, {name}: {np.mean(self.errors[name][person]):.3f}\n")

    def summary(self, chosen: Sequence[int]) -> dict[str, Any]:
        """Return the arms with intervals over people, and seconds to align one person."""
        found = {arm: _over_people(by_person) for arm, by_person in self.errors.items()}
        part = {person: self.errors["ours"][person] for person in chosen if person in self.errors["ours"]}
        return {
            "arms": {
                arm: {"mae": e.value, "low": e.low, "high": e.high, "people": len(self.errors[arm])}
                for arm, e in found.items()
            },
            "ours_on_the_people_of_the_slow_arms": _over_people(part).as_dict() if part else None,
            "domains": self._by_domain(),
            "seconds_per_person": {k: float(np.median(v)) for k, v in self.seconds.items() if v},
            "seconds_to_prepare_a_base_model": self.prepare_seconds,
            "perplexity_ratio": {"mean": float(np.mean(self.cost)), "most": float(np.max(self.cost))},
            "held_out_items": len(self.people.held_out),
            "seed": self._seed,
        }

    def _by_domain(self) -> dict[str, dict[str, float]]:
        domains = np.array([self.people.facets[i][0] for i in self.people.held_out])
        whole = {
            p
            for p in range(len(self.people.answers))
            if not np.isnan(self.people.answers[p, self.people.held_out]).any()
        }
        return {
            arm: {
                d: float(np.mean([np.array(self.errors[arm][p])[domains == d].mean() for p in whole]))
                for d in "NEOAC"
            }
            for arm in ("ours", "own_facet_mean", "always_3")
        }


def _over_people(by_person: Mapping[int, Sequence[float]]) -> Estimate:
    means = [float(np.mean(errors)) for _, errors in sorted(by_person.items())]
    return clustered_mean(means, range(len(means)))


def page(found: Mapping[str, Any], folder: Path) -> None:
    """Write the result as a page with its plot."""
    arms_found = dict(sorted(found["arms"].items(), key=lambda arm: -arm[1]["mae"]))
    rows = {name: (a["mae"], a["low"], a["high"]) for name, a in arms_found.items()}
    plots.bars(
        folder / "papi.svg",
        "Mean absolute error on 180 held-out items (lower is better)",
        rows,
        low=0.3,
        high=0.9,
    )
    table = "\n".join(
        f"| {name.replace('_', ' ')} | {a['mae']:.3f} | {a['low']:.3f} to {a['high']:.3f} | {a['people']} |"
        for name, a in arms_found.items()
    )
    seconds = ", ".join(f"{name} {value:.3g} s" for name, value in found["seconds_per_person"].items())
    (folder / "papi.md").write_text(
        f"# What 150 real people answered\n\n{__doc__.split(chr(10) * 2, 2)[2]}\n"
        "![Errors by arm](papi.svg)\n\n"
        f"| arm | mean absolute error | 95 % over people | people |\n|---|---|---|---|\n{table}\n\n"
        f"To align one person (median): {seconds}; once for each base model: "
        f"{found['seconds_to_prepare_a_base_model']:.0f} s. Perplexity of neutral text becomes "
        f"{found['perplexity_ratio']['mean']:.3f} times as high "
        f"(at most {found['perplexity_ratio']['most']:.3f}).\n\n"
        f"Machine: {found['machine']}. Commit: {found['commit']}. Seed {found['seed']}.\n"
    )


def main() -> None:
    """Measure, print the arms, and write JSON and page."""
    parser = options_of(__doc__, "papi")
    parser.add_argument(
        "--people", type=int, default=12, help="people for the arms that run the model for each"
    )
    parser.add_argument("--orders", type=int, default=10, help="orders of the answer words: 2, or 10 to 120")
    parser.add_argument("--arms", nargs="*", default=SLOW, choices=SLOW)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two orders; DPO for one person, 24 pairs")
    options = parser.parse_args()
    if not FOLDER.exists():
        sys.exit(f"The people's answers are not in {FOLDER}; set ALIGN_DATA to the folder that holds papi/.")
    epochs, pairs = arms.EPOCHS, arms.PAIRS
    if options.quick:
        options.people, options.orders, options.arms = 1, 2, ["dpo"]
        epochs, pairs = 1, 24
    base = load(options.model, options.models)
    kind = "quick" if options.quick else f"seed-{options.seed}"
    study = Study(
        base,
        People.read(),
        options.folder / base.revision / kind,
        order_count=options.orders,
        seed=options.seed,
    )
    chosen = (
        np.random.default_rng(options.seed).permutation(len(study.people.answers))[: options.people].tolist()
    )
    study.guesses()
    study.ours()
    study.slow(chosen, options.arms, epochs=epochs, pairs=pairs)
    found = {**study.summary(chosen), "machine": machine(), "commit": commit()}
    for name, arm in sorted(found["arms"].items(), key=lambda each: each[1]["mae"]):
        print(f"{name:<26} {arm['mae']:.3f}  ({arm['low']:.3f} to {arm['high']:.3f})  {arm['people']} people")
    print(f"seconds per person: {found['seconds_per_person']}; perplexity ratio {found['perplexity_ratio']}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    if options.page:
        page(found, options.page)


def _tell(words: str) -> None:
    print(words, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
