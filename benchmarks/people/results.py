"""Cells of the people benchmark: kept one line each as they come, summed up with intervals over people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.kept import Kept
from benchmarks.outcomes import ArmCell, gain, mean, over_people, won
from personalization.statistics import Estimate, wilson

# Shown beside the methods, never called the best one.
CONTROLS = ("random_vector", "others_vector")
# Nor is a method that wins by leaving the question or by breaking other text: at most so much is lost.
MOST_RELEVANCE_LOST, MOST_PERPLEXITY_RATIO = 0.02, 1.03


@dataclass(frozen=True, slots=True)
class Cell(ArmCell):
    """One arm for a person, against the base model's answers of the same random seed."""

    repetition: float
    base_repetition: float
    words: float
    perplexity_ratio: float | None  # on neutral text; None where nothing acts inside the model
    seconds: float  # to learn it
    gated_to: float = 1.0  # the share of it that the safety gate let act, 0 to 1; 1 where it was not asked


class Cells:
    """The file of finished cells: what is in it is not computed again."""

    def __init__(self, file: Path) -> None:
        self._kept = Kept(file)
        self._found = {cell.key: cell for cell in (Cell(**row) for row in self._kept.rows)}

    def __contains__(self, key: object) -> bool:
        return key in self._found

    def add(self, cell: Cell) -> None:
        """Keep a cell, on disk too."""
        self._kept.add(asdict(cell))
        self._found[cell.key] = cell

    def all(self) -> list[Cell]:
        """Return every cell."""
        return list(self._found.values())


def summary(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the grid (arm and prompts), the best sound method at the most prompts, and who was harmed by it.

    An arm that is not complete yet for everybody and every seed is left out: fewer people are other people.
    """
    cells = _complete(cells)
    arms = dict.fromkeys(cell.arm for cell in cells)
    sizes = sorted({cell.prompts for cell in cells})
    grid = [
        {"arm": arm, "prompts": size, **_cell_means(chosen)}
        for arm in arms
        for size in sizes
        if (chosen := [c for c in cells if (c.arm, c.prompts) == (arm, size)])
    ]
    most = [row for row in grid if row["prompts"] == sizes[-1] and row["arm"] not in CONTROLS]
    best = max([row for row in most if _is_sound(row)] or most, key=lambda row: row["win_rate"])
    chosen = [c for c in cells if (c.arm, c.prompts) == (best["arm"], best["prompts"])]
    return {
        "best": {"method": best["arm"], **{k: best[k] for k in ("prompts", "win_rate", "low", "high")}},
        "people": {name: estimate.as_dict() for name, estimate in by_person(chosen).items()},
        "grid": grid,
        "pays": [row for size in sizes if (row := _pays(cells, size))],
        "gate": [row for size in sizes if (row := _held_back(cells, size))],
        "seeds": len({cell.seed for cell in cells}),
    }


def _complete(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells of arms and sizes that were computed for as many people and seeds as any other."""
    counts = Counter((cell.arm, cell.prompts) for cell in cells)
    most = {size: max(n for (_, at), n in counts.items() if at == size) for _, size in counts}
    return [cell for cell in cells if counts[cell.arm, cell.prompts] == most[cell.prompts]]


def _is_sound(row: Mapping[str, Any]) -> bool:
    kept = row["relevance_change"] >= -MOST_RELEVANCE_LOST
    return kept and (row["perplexity_ratio"] or 1.0) <= MOST_PERPLEXITY_RATIO


def _pays(cells: Sequence[Cell], size: int) -> dict[str, Any] | None:
    """Return how much more an adapter wins than the vector of every rating, each with the same person."""
    found: dict[str, Any] = {"prompts": size}
    rates = {(c.arm, c.person, c.seed): mean(c.wins) for c in cells if c.prompts == size}
    for arm in ("adapter", "both"):
        estimate = gain(rates, arm, "vector")
        found[arm] = estimate.as_dict() if estimate else None
    trained = [c.seconds for c in cells if (c.arm, c.prompts) == ("adapter", size)]
    return {**found, "seconds": mean(trained)} if trained and found["adapter"] else None


def _held_back(cells: Sequence[Cell], size: int) -> dict[str, Any] | None:
    """Return how many people's vectors the safety gate holds back, and what becomes of their wins.

    What passes whole is the same vector, so only the others differ. `refused`: had the gate's word been yes
    or no, so that they had the base model. None where nobody has both vectors.
    """
    here = {(c.arm, c.person, c.seed): c for c in cells if c.prompts == size}
    gated = [c for c in here.values() if c.arm == "gated_vector" and ("vector", c.person, c.seed) in here]
    if not gated:
        return None
    rates = {}
    for cell in gated:
        at, whole = (cell.person, cell.seed), cell.gated_to == 1
        rates["gated", *at] = mean(cell.wins)
        rates["full", *at] = mean(cell.wins if whole else here["vector", *at].wins)
        rates["refused", *at] = mean(cell.wins) if whole else 0.5
    weakened = [cell.gated_to for cell in gated if 0 < cell.gated_to < 1]
    gains = {other: gain(rates, "gated", other) for other in ("full", "refused")}
    return {
        "prompts": size,
        "n": len(gated),
        "weakened": len(weakened),
        "nothing": sum(cell.gated_to == 0 for cell in gated),
        "share": mean(weakened) if weakened else None,
        **{f"less_{other}": estimate.as_dict() for other, estimate in gains.items() if estimate},
    }


def by_person(cells: Iterable[Cell]) -> dict[str, Estimate]:
    """Return each person's win rate over all seeds and fresh prompts, with Wilson's interval."""
    outcomes: dict[str, list[float]] = {}
    for cell in cells:
        outcomes.setdefault(cell.person, []).extend(cell.wins)
    return {name: wilson(sum(wins), len(wins)) for name, wins in sorted(outcomes.items())}


def _cell_means(cells: Sequence[Cell]) -> dict[str, Any]:
    ratios = [cell.perplexity_ratio for cell in cells if cell.perplexity_ratio is not None]
    kept = over_people([(cell.relevance - cell.base_relevance, cell.person) for cell in cells])
    return {
        **won(cells),
        "seeds": len({cell.seed for cell in cells}),
        "relevance_change": kept.value,
        "relevance_low": kept.low,
        "relevance_high": kept.high,
        "repetition_change": mean([cell.repetition - cell.base_repetition for cell in cells]),
        "perplexity_ratio": mean(ratios) if ratios else None,
        "words": mean([cell.words for cell in cells]),
        "seconds": mean([cell.seconds for cell in cells]),
    }


def table(found: dict[str, Any]) -> str:
    """Return the grid as a Markdown table: one line for each arm, one column for each number of prompts."""
    sizes = sorted({row["prompts"] for row in found["grid"]})
    cells = {(row["arm"], row["prompts"]): row for row in found["grid"]}
    seeds = {size: max(row["seeds"] for (_, at), row in cells.items() if at == size) for size in sizes}
    most = max(seeds.values())

    def column(size: int) -> str:
        told = f" ({seeds[size]} of {most} seeds)" if seeds[size] < most else ""
        return f"{size} prompt{'s' if size > 1 else ''}{told}"

    lines = [
        "| arm | " + " | ".join(map(column, sizes)) + " | relevance | perplexity | words |",
        "|---" * (len(sizes) + 4) + "|",
    ]
    for arm in dict.fromkeys(row["arm"] for row in found["grid"]):
        shown = [_words(cells.get((arm, size))) for size in sizes]
        last = next(cells[arm, size] for size in reversed(sizes) if (arm, size) in cells)
        ratio = last["perplexity_ratio"]
        costs = [
            f"{last['relevance_change']:+.3f} [{last['relevance_low']:+.3f}, {last['relevance_high']:+.3f}]",
            "" if ratio is None else f"{100 * (ratio - 1):+.1f} %",
            f"{last['words']:.0f}",
        ]
        lines.append(f"| {arm.replace('_', ' ')} | " + " | ".join([*shown, *costs]) + " |")
    return "\n".join(lines)


def _words(row: dict[str, Any] | None) -> str:
    return f"{row['win_rate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" if row else ""
