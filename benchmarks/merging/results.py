"""Cells of the merging benchmark, kept as they come, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.kept import Kept
from benchmarks.outcomes import mean
from personalization.statistics import clustered_mean


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm of one seed on fresh prompts. `wins`: goal -> 1, 0.5 or 0 for each, against the base model."""

    seed: int
    arm: str
    wins: Mapping[str, Sequence[float]]
    relevance_change: float
    words: float
    rank: int | None  # of a merge
    loss: float
    seconds: float  # to merge


class Cells:
    """The file of finished cells, and beside it how far the adapters of a seed pull apart."""

    def __init__(self, file: Path) -> None:
        self._kept = Kept(file)
        self._conflicts = Kept(file.with_name("conflicts.jsonl"))
        self.all = [Cell(**row) for row in self._kept.rows]

    def __contains__(self, key: object) -> bool:
        return key in {(cell.seed, cell.arm) for cell in self.all}

    def add(self, cell: Cell) -> None:
        """Keep a cell, on disk too."""
        self._kept.add(asdict(cell))
        self.all.append(cell)

    def conflicts(self, seed: int) -> list[dict[str, Any]]:
        """Return what was kept of a seed's adapters, layer by layer."""
        return [row for row in self._conflicts.rows if row["seed"] == seed]

    def keep_conflicts(self, seed: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep it."""
        for row in rows:
            self._conflicts.add({"seed": seed, **row})


def summary(cells: Cells) -> dict[str, Any]:
    """Return one row for each arm that every seed has, best first by the goal that it serves worst."""
    seeds = sorted({cell.seed for cell in cells.all})
    arms = dict.fromkeys(cell.arm for cell in cells.all)
    rows = []
    for arm in arms:
        own = [cell for cell in cells.all if cell.arm == arm]
        if len(own) == len(seeds):
            rows.append(_row(arm, own))
    measured = [row for seed in seeds for row in cells.conflicts(seed)]
    pulls = {
        name: mean([row[name] for row in measured])
        for name in ("cosine", "sign_conflict", "overlap")
        if measured
    }
    return {
        "rows": sorted(rows, key=lambda row: -row["worst"]["value"]),
        "conflict": pulls,
        "seeds": len(seeds),
        "fresh": len(next(iter(cells.all[0].wins.values()))) if cells.all else 0,
    }


def _row(arm: str, own: Sequence[Cell]) -> dict[str, Any]:
    by_goal = {goal: _interval([win for cell in own for win in cell.wins[goal]]) for goal in own[0].wins}
    each = [[sum(wins) / len(wins) for wins in zip(*cell.wins.values(), strict=True)] for cell in own]
    worst = min(by_goal, key=lambda goal: by_goal[goal]["value"])
    return {
        "arm": arm,
        "goals": by_goal,
        "mean": _interval([value for values in each for value in values]),
        "worst": {"goal": worst, **by_goal[worst]},
        "relevance_change": mean([cell.relevance_change for cell in own]),
        "words": mean([cell.words for cell in own]),
        "rank": own[0].rank,
        "loss": mean([cell.loss for cell in own]),
        "seconds": mean([cell.seconds for cell in own]),
    }


def _interval(values: Sequence[float]) -> dict[str, float]:
    """Return the mean with a bootstrap interval over fresh prompts, each with its seed's answers."""
    found = clustered_mean(list(values), list(range(len(values))))
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def table(found: Mapping[str, Any]) -> str:
    """Return the rows as a Markdown table."""
    goals = list(found["rows"][0]["goals"]) if found["rows"] else []
    lines = [
        "| arm | " + " | ".join(goals) + " | mean | worst goal | relevance | words | rank | loss |",
        "|---" * (len(goals) + 7) + "|",
    ]
    for row in found["rows"]:
        shown = [_words(row["goals"][goal]) for goal in goals]
        numbers = [
            f"{row['worst']['value']:.2f}",
            f"{row['relevance_change']:+.3f}",
            f"{row['words']:.0f}",
            str(row["rank"] or 8),  # a trained adapter's
            f"{row['loss']:.2f}",
        ]
        lines.append(f"| {row['arm']} | " + " | ".join([*shown, _words(row["mean"]), *numbers]) + " |")
    return "\n".join(lines)


def _words(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"
