"""What is lost, of what the methods benchmark measured, by following the adviser."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.methods.results import Cell
from benchmarks.priors import Trial, of_methods
from benchmarks.regret import Followed, follow, regret


def adviser_regret(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the regret against each person's best sound method in hindsight, in all and by kind.

    At the most prompts of each kind, without a teacher, of the methods that at least half as many people have
    as any; None where there is too little to tell.
    """
    by_kind: dict[str, list[Followed]] = {}
    for kind in sorted({cell.kind for cell in cells}):
        trials = [t for t in of_methods(cells) if t.data == kind and not t.taught]
        most = max((t.amount for t in trials), default=0)
        if followed := follow(_of_many([t for t in trials if t.amount == most])):
            by_kind[kind] = followed
    every = [one for followed in by_kind.values() for one in followed]
    return {
        "adviser_regret": regret(every).as_dict() if every else None,
        "adviser_regret_by_kind": {
            kind: {**regret(some).as_dict(), "advised": sorted({str(one.advised) for one in some})}
            for kind, some in by_kind.items()
        },
    }


def _of_many(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials of methods that were measured on enough people for these to be compared."""
    people: dict[str, set[str]] = defaultdict(set)
    for trial in trials:
        people[trial.method].add(trial.person)
    most = max(map(len, people.values()), default=0)
    return [trial for trial in trials if 2 * len(people[trial.method]) >= most]
