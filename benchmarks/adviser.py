"""How much is lost by following the adviser instead of knowing each person's best method in hindsight?

    python -m benchmarks.adviser [--json FILE]

Reads the published cells of `benchmarks.people`: every person is left out of the table that advises them, and
has nothing acting. The best in hindsight is chosen on two seeds and both are judged on the third (every seed
once): the best of several noisy means would look better than it is. Computes no answers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.outcomes import over_people
from benchmarks.people.results import CONTROLS, Cell
from benchmarks.people.study import PUBLISHED
from personalization.adviser import Measured, advise

PROMPTS = 32


def regrets(cells: Sequence[Cell]) -> list[tuple[float, str, str]]:
    """Return (regret, advised method, person) for each person and judged seed."""
    usable = [c for c in cells if c.prompts == PROMPTS and c.arm not in CONTROLS]
    arms = sorted({c.arm for c in usable})
    seeds = sorted({c.seed for c in usable})
    mean = {(c.arm, c.person, c.seed): sum(c.wins) / len(c.wins) for c in usable}
    found = []
    for person in sorted({c.person for c in usable}):
        table = _table([c for c in usable if c.person != person], arms)
        advised = advise({"ratings": PROMPTS}, table).method
        for judged in seeds:
            others = [seed for seed in seeds if seed != judged]
            best = max(arms, key=lambda arm: sum(mean[arm, person, s] for s in others))
            got = mean[advised, person, judged] if advised else 0.5
            found.append((mean[best, person, judged] - got, str(advised), person))
    return found


def _table(cells: Sequence[Cell], arms: Sequence[str]) -> list[Measured]:
    rows = []
    for arm in arms:
        chosen = [c for c in cells if c.arm == arm]
        estimate = over_people([(win, c.person) for c in chosen for win in c.wins])
        seconds = sum(c.seconds for c in chosen) / len(chosen)
        rows.append(Measured(arm, "ratings", PROMPTS, estimate, seconds))
    return rows


def main() -> None:
    """Print the regret and who was advised what."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    (file,) = PUBLISHED.glob("*/cells.jsonl")
    rows = regrets([Cell(**json.loads(line)) for line in file.read_text().splitlines()])
    estimate = over_people([(regret, person) for regret, _, person in rows])
    advised = sorted({method for _, method, _ in rows})
    print(f"advised: {', '.join(advised)}, to {len({person for _, _, person in rows})} people")
    print(f"regret {estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]")
    if options.json:
        options.json.write_text(json.dumps({"adviser_regret": estimate.as_dict(), "advised": advised}) + "\n")


if __name__ == "__main__":
    main()
