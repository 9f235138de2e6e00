"""What the application's adviser starts from: published cells, person by person, as one small file.

`python -m benchmarks.adviser --ship` writes it, from the cells that `benchmarks.people` and
`benchmarks.methods` published beside their pages. Nothing in it is typed by hand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.methods import results as by_method
from benchmarks.outcomes import mean, over_people
from benchmarks.people import results as by_arm
from personalization.beliefs import LEAST_PEOPLE

DOCS = Path("docs/benchmarks")
SHIPPED = Path("alignapp/adapters/priors.json")
MODEL = "SmolLM2-135M-Instruct"  # whose cells are published
# The arms of `benchmarks.people` that the application has, as it names them; the adapters there are taught
# by the vector of the same ratings, as the application's are.
ARMS = {"vector": "instant", "adapter": "dpo", "both": "dpo+instant"}
LEARNS_FROM = {"dpo": "pairs"}  # what these learn from where that is not the ratings themselves
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """One method for one person and seed, from `amount` messages with `data` feedback."""

    method: str
    data: str
    amount: int
    taught: bool  # whether the vector of the same ratings was the adapter's teacher, too
    person: str
    seed: int
    wins: list[float]
    relevance_change: float
    perplexity_ratio: float
    seconds: float

    @property
    def place(self) -> tuple[str, str, int, bool]:
        """What a row of the adviser's table is of."""
        return self.method, self.data, self.amount, self.taught


def of_people(cells: Iterable[by_arm.Cell], names: Mapping[str, str] = ARMS) -> list[Trial]:
    """Return the cells of these arms as trials, by the names that they have in the application."""
    return [
        Trial(names[c.arm], LEARNS_FROM.get(names[c.arm], "ratings"), c.prompts, c.arm != "vector", c.person,
              c.seed, c.wins, c.relevance - c.base_relevance, c.perplexity_ratio or 1.0, c.seconds)
        for c in cells if c.arm in names
    ]  # fmt: skip


def of_methods(cells: Iterable[by_method.Cell]) -> list[Trial]:
    """Return the cells of `benchmarks.methods` as trials; what learns from a selection is no method here."""
    return [
        Trial(c.method, c.kind, c.prompts, c.taught, c.person, c.seed, c.wins, c.relevance_change,
              c.perplexity_ratio, c.seconds)
        for c in cells if ":" not in c.method
    ]  # fmt: skip


def people_cells(docs: Path = DOCS) -> list[by_arm.Cell]:
    """Return the published cells of `benchmarks.people`."""
    return [by_arm.Cell(**row) for row in _lines(docs.glob("people-raw/*/cells.jsonl"))]


def method_cells(docs: Path = DOCS) -> list[by_method.Cell]:
    """Return the published cells of `benchmarks.methods`; none before it was ever published."""
    cells = [by_method.Cell(**row) for row in _lines(docs.glob("methods-raw/*/cells.jsonl"))]
    return by_method.without_doubles(cells)


def moved(trials: Sequence[Trial], beside: Sequence[Trial], by: str = "dpo") -> list[Trial]:
    """Return trials as they compare with those of another benchmark, through the method that both measured.

    Texts differ, and one draw of them favours every method alike: with 16 prompts the same `dpo` wins 0.70,
    0.74, 0.80 and 0.85 of four draws. So wins and relevance are moved, person by person, by what `by` wins
    less there (indirect comparison by a common comparator: Bucher et al. 1997,
    doi:10.1016/S0895-4356(97)00049-8). What has no such comparator (as much feedback, a teacher or none
    alike) stays as it is.
    """
    found = []
    for trial in trials:
        here, there = (_comparator(some, trial, by) for some in (trials, beside))
        if here and there:
            wins, relevance = (mean(theirs) - mean(ours) for ours, theirs in zip(here, there, strict=True))
            trial = replace(
                trial,
                wins=[win + wins for win in trial.wins],
                relevance_change=trial.relevance_change + relevance,
            )
        found.append(trial)
    return found


def _comparator(some: Sequence[Trial], trial: Trial, by: str) -> tuple[list[float], list[float]] | None:
    """Return wins and relevance of the method `by` for the person of a trial, in its place."""
    place = trial.person, trial.amount, trial.taught
    same = [t for t in some if t.method == by and (t.person, t.amount, t.taught) == place]
    return ([win for t in same for win in t.wins], [t.relevance_change for t in same]) if same else None


def table_of(trials: Sequence[Trial], least_people: int = LEAST_PEOPLE) -> list[dict[str, Any]]:
    """Return a row for each method, kind and amount that everybody has who has any there, with every seed.

    Fewer people are other people: the first of the twelve have the cleanest tastes.

    Of one method, kind and amount what was taught, where it was: the application teaches every adapter by
    the vector of the person's ratings. Without that a method was measured at less than it will do, which is
    kept where nothing else is known.
    """
    found: dict[tuple[str, str, int, bool], list[Trial]] = defaultdict(list)
    for trial in trials:
        found[trial.place].append(trial)
    most: dict[tuple[str, int, bool], int] = defaultdict(int)
    everybody: dict[tuple[str, int], set[str]] = defaultdict(set)
    for (_, data, amount, taught), chosen in found.items():
        most[data, amount, taught] = max(most[data, amount, taught], len(chosen))
        everybody[data, amount] |= {trial.person for trial in chosen}
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    for place, chosen in sorted(found.items()):  # the taught come last and stay
        method, data, amount, taught = place
        people = {trial.person for trial in chosen}
        whole = len(chosen) == most[data, amount, taught] and people == everybody[data, amount]
        if whole and len(people) >= least_people:
            rows[method, data, amount] = _row(chosen)
    return list(rows.values())


def joined(people: Sequence[Trial], methods: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return one row for each method and amount: of the first benchmark, and beside it of the second."""
    rows = {_at(row): row for row in table_of(moved(methods, people))}
    rows |= {_at(row): row for row in table_of(people)}
    return [rows[place] for place in sorted(rows)]


def _at(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["method"], row["data"], row["amount"]


def ship(docs: Path = DOCS, target: Path = SHIPPED) -> dict[str, Any]:
    """Write the file and return what is in it. Raises FileNotFoundError where no page was published."""
    pages = [file for name in ("people", "methods") if (file := docs / f"{name}.json").exists()]
    if not pages:
        raise FileNotFoundError(f"No page of people or methods in {docs}: publish one with --page first.")
    rows = joined(of_people(people_cells(docs)), of_methods(method_cells(docs)))
    found = {
        "model": MODEL,
        "people": max(len(row["people"]) for row in rows),
        "from": {file.name: json.loads(file.read_text())["commit"] for file in pages},
        "rows": rows,
    }
    target.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _row(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return one row as `personalization.adviser.Measured.of` reads it."""
    wins: dict[str, list[float]] = defaultdict(list)
    relevance: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        wins[trial.person] += trial.wins
        relevance[trial.person].append(trial.relevance_change)
    estimate = over_people([(win, person) for person, won in wins.items() for win in won])
    first = trials[0]
    return {
        "method": first.method,
        "data": first.data,
        "amount": first.amount,
        "taught": first.taught,
        "win_rate": {k: v if k == "n" else round(v, DIGITS) for k, v in estimate.as_dict().items()},
        "seconds": round(mean([trial.seconds for trial in trials]), 1),
        "perplexity_ratio": round(mean([trial.perplexity_ratio for trial in trials]), DIGITS),
        "people": _means(wins),
        "relevance": _means(relevance),
    }


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {person: round(mean(found), DIGITS) for person, found in sorted(values.items())}


def _lines(files: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(files) for line in file.read_text().splitlines()]
