"""How much is lost by following the adviser instead of knowing each person's best method in hindsight?

    python -m benchmarks.adviser [--json FILE] [--level 0.2] [--ship]

Reads the published cells of `benchmarks.people`: every person is left out of the table that advises them
(`benchmarks.regret`), has nothing or the vector of their ratings acting, and may be told to keep that, or the
adapter, or both. Beside it, what conformal selection (`personalization.promotion`) promotes of the same
people's artifacts at a stated level, and how many of those are wrong. Computes no answers. --ship writes what
the application's adviser starts from.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import priors
from benchmarks.outcomes import mean
from benchmarks.people.results import Cell
from benchmarks.regret import Followed, follow, regret
from personalization.promotion import promoted, promoted_by_best
from personalization.statistics import wilson

AMOUNTS = (4, 8, 16, 32)  # rated prompts
DRAWS = 2000  # of people into known and new ones
KNOWN_SHARE = 2 / 3


@dataclass(frozen=True, slots=True)
class Promotion:
    """How one rule promotes: the mean share of wrong ones among the promoted, and of good ones promoted."""

    wrong: float
    power: float


def promotions(cells: Sequence[Cell], level: float, *, seed: int = 0) -> dict[str, Promotion]:
    """Return how conformal selection, OptCS and a rule of thumb promote people's artifacts at `level`.

    Each person and seed brings one arm, drawn at random, controls included. What is known of it is its wins
    on the first half of its fresh prompts; it is good if it wins more than half of the others. People, not
    artifacts, are drawn into known and new ones. OptCS chooses among three scores by the known ones
    (`_scores`). The rule of thumb promotes where Wilson's interval of the known half lies above one half.
    """
    rng = random.Random(seed)  # noqa: S311 - a simulation
    by_unit: dict[tuple[str, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        by_unit[cell.person, cell.seed].append(cell)
    people = sorted({cell.person for cell in cells})
    counts: dict[str, list[tuple[int, int, int]]] = defaultdict(list)  # wrong, promoted, good
    for _ in range(DRAWS):
        known_people = set(rng.sample(people, round(KNOWN_SHARE * len(people))))
        drawn = [rng.choice(by_unit[unit]) for unit in sorted(by_unit)]
        known = [cell for cell in drawn if cell.person in known_people]
        new = [cell for cell in drawn if cell.person not in known_people]
        chosen = promoted(
            [_score(c) for c in new], [_score(c) for c in known], [_good(c) for c in known], level=level
        )
        best = promoted_by_best(
            [_scores(c) for c in new], [_scores(c) for c in known], [_good(c) for c in known], level=level
        )
        thumb = [i for i, cell in enumerate(new) if wilson(sum(_half(cell)), len(_half(cell))).low > 0.5]
        good = sum(map(_good, new))
        for name, some in (("conformal", chosen), ("optcs", best), ("interval", thumb)):
            counts[name].append((sum(not _good(new[i]) for i in some), len(some), good))
    return {
        name: Promotion(
            mean([wrong / max(1, n) for wrong, n, _ in found]),
            mean([(n - wrong) / good for wrong, n, good in found if good]),
        )
        for name, found in counts.items()
    }


def _half(cell: Cell) -> list[float]:
    return cell.wins[0::2]


def _score(cell: Cell) -> float:
    return mean(_half(cell))


def _scores(cell: Cell) -> list[float]:
    """Return three kinds of score, of which the best is chosen by the known ones: wins are the first."""
    relevance = cell.relevance - cell.base_relevance
    return [_score(cell), _score(cell) + relevance, relevance - (cell.perplexity_ratio or 1.0)]


def _good(cell: Cell) -> bool:
    return mean(cell.wins[1::2]) > 0.5


def main() -> None:
    """Print the regret, who was advised what, and what promoting with a guarantee does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--level", type=float, default=0.2, help="share of wrongly promoted artifacts")
    parser.add_argument(
        "--ship", action="store_true", help="write what the application's adviser starts from"
    )
    options = parser.parse_args()
    # All at full strength: adapters were not measured as the safety gate lets them act.
    cells = [cell for cell in priors.people_cells() if cell.arm != "gated_vector"]
    trials = priors.of_people(cells, {arm: arm for arm in priors.ARMS})  # what the application has
    figures = {
        (amount, current): _figures(follow([t for t in trials if t.amount == amount], current=current))
        for amount in AMOUNTS
        for current in (None, "vector")
    }
    for (amount, current), row in figures.items():
        print(f"{amount} prompts, {current or 'nothing'} acting, advised: {row['advised']}")
        for name in ("adviser_regret", "adviser_regret_to_any"):
            print("  {0}: {value:+.3f} [{low:+.3f}, {high:+.3f}]".format(name, **row[name]))
    found = promotions(cells, options.level)
    for name, one in found.items():
        print(f"promoted by {name}: {one.wrong:.3f} of them wrong, {one.power:.2f} of the good ones")
    print(f"(conformal selection and OptCS are to keep the wrong ones at or below {options.level:g})")
    if options.json:
        told = {
            **figures[AMOUNTS[-1], None],
            "after": [{"prompts": n, "acting": current, **row} for (n, current), row in figures.items()],
            "level": options.level,
            "promotion": {name: asdict(one) for name, one in found.items()},
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    if options.ship:
        shipped = priors.ship()
        print(f"{priors.SHIPPED}: {len(shipped['rows'])} rows of {shipped['people']} people")


def _figures(followed: Sequence[Followed]) -> dict[str, Any]:
    """Return the regret against the best sound method and against the best of all, and who was told what."""
    return {
        "adviser_regret": regret(followed).as_dict(),
        "adviser_regret_to_any": regret(followed, any_method=True).as_dict(),
        "advised": dict(Counter(str(one.advised) for one in followed)),
    }


if __name__ == "__main__":
    main()
