"""What the application's adviser starts from: published cells, person by person, as one small file.

`python -m benchmarks.adviser --ship` writes it, from the cells that `benchmarks.people` and
`benchmarks.methods` published beside their pages. Nothing in it is typed by hand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
        Trial(names[c.arm], "ratings", c.prompts, c.arm != "vector", c.person, c.seed, c.wins,
              c.relevance - c.base_relevance, c.perplexity_ratio or 1.0, c.seconds)
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


def ship(docs: Path = DOCS, target: Path = SHIPPED) -> dict[str, Any]:
    """Write the file and return what is in it. Raises FileNotFoundError where no page was published."""
    pages = [file for name in ("people", "methods") if (file := docs / f"{name}.json").exists()]
    if not pages:
        raise FileNotFoundError(f"No page of people or methods in {docs}: publish one with --page first.")
    rows = table_of([*of_people(people_cells(docs)), *of_methods(method_cells(docs))])
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
