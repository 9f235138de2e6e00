"""Do two rated prompts beside what other people like tell as much as eight alone?

    python -m benchmarks.warm_start [--json FILE] [--page docs/benchmarks] [--quick] [--seeds 3]

The twelve people of `benchmarks.people`, each left out of the prior that is used for them; others' tastes
come from other prompts. Accuracy: how often a taste orders two answers to prompts 9 to 20 as the person
does. Then an attack on the prior: does it tell who is in it? Nothing is generated; one core needs two
minutes for each seed's states, then seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.kept import options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.people.pool import pool_of, states_of
from benchmarks.people.study import texts_for
from benchmarks.warm_start import study
from benchmarks.warm_start.study import ARMS, SIZES, Seed
from personalization.engine.local import LocalEngine
from personalization.models.base import load
from personalization.models.precision import half_precision, precision_of
from personalization.simulation.people import population
from personalization.steering.instant import layers_of

PEOPLE, INSIDE, SPLITS = 60, 20, 100


def main() -> None:
    """Measure, print, and write JSON and page."""
    parser = options_of(__doc__, "warm_start")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one seed, five splits of the attack")
    options = parser.parse_args()
    base = load(options.model, options.models)
    dtype = precision_of(base)
    folder = texts_for(base, dtype)
    seeds = []
    with half_precision(base):
        engine = LocalEngine(base, max_rows=128, queue_limit=1_000_000)
        try:
            for number in range(1 if options.quick else options.seeds):
                pool = pool_of(number, engine, folder)
                states = states_of(pool, base, folder)
                seeds.append(Seed.of(pool, states[:, list(layers_of(states.shape[1]))].numpy()))
                print(f"seed {number}", file=sys.stderr, flush=True)
        finally:
            engine.close()
    found = _measured(seeds, splits=5 if options.quick else SPLITS)
    found |= {"machine": machine(), "dtype": dtype, "commit": commit(), "seeds": len(seeds)}
    publish(options, found, _table(found), write_page)


def _measured(seeds: list[Seed], *, splits: int) -> dict[str, Any]:
    rows = study.accuracies(seeds, population())
    drawn = study.drawn_people(PEOPLE)
    return {
        "grid": [
            {"arm": arm, "prompts": size, **study.mean_of(rows, arm, size).as_dict()}
            for arm in ARMS
            for size in SIZES
            if (arm, size) != ("alone", 0)
        ],
        "two_with_less_eight_alone": {
            arm: study.difference(rows, (arm, 2), ("alone", 8)).as_dict() for arm in ARMS
        },
        "two_with_less_two_alone": {
            arm: study.difference(rows, (arm, 2), ("alone", 2)).as_dict() for arm in ARMS
        },
        "membership": {
            name: study.membership(seeds[0], drawn, inside=INSIDE, splits=splits, same_ratings=same).as_dict()
            for name, same in (("same ratings", True), ("other prompts", False))
        },
    }


def _table(found: Mapping[str, Any]) -> str:
    cells = {(row["arm"], row["prompts"]): row for row in found["grid"]}
    lines = [
        "| prior | " + " | ".join(f"{size} prompts" for size in SIZES) + " |",
        "|---" * (len(SIZES) + 1) + "|",
    ]
    for arm in ARMS:
        shown = [_interval(cells[arm, size]) if (arm, size) in cells else "" for size in SIZES]
        lines.append(f"| {arm.replace('_', ', ')} | " + " | ".join(shown) + " |")
    lines += ["", "| prior | 2 prompts with it - 8 alone | 2 with it - 2 alone |", "|---|---|---|"]
    for arm in ARMS[1:]:
        row = [_signed(found[key][arm]) for key in ("two_with_less_eight_alone", "two_with_less_two_alone")]
        lines.append(f"| {arm.replace('_', ', ')} | {row[0]} | {row[1]} |")
    lines += ["", "| the attacker knows a person's taste from | AUC (chance 0.5) |", "|---|---|"]
    lines += [f"| {name} | {_interval(row)} |" for name, row in found["membership"].items()]
    return "\n".join(lines)


def _interval(row: Mapping[str, float]) -> str:
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _signed(row: Mapping[str, float]) -> str:
    return f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write warm_start.md and warm_start.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "warm_start.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "warm_start.md").write_text(
        f"""# A warm start: do few ratings go further beside other people's?

`python -m benchmarks.warm_start --page docs/benchmarks` ({found["machine"]}, {found["dtype"]}, commit
{found["commit"]}). The twelve simulated people of [people](people.md), {found["seeds"]} seeds; each is left
out of the prior (`personalization.steering.shared`) that is used for them, and others' tastes come from 12
other prompts. Shown is how often a taste from the first prompts orders two answers to prompts 9 to 20 as
the person does, without noise; intervals (95 %) resample whole people.

{_table(found)}

*Everybody*: all others count alike. *Alike*: by the words of their stated values. *Strangers*: without
anybody who states the same (the two noisy twins). The attack: {PEOPLE} people with tastes drawn at random,
{INSIDE} of them in the prior; the attacker knows the prior and every person's taste, from the very ratings
that went in or from ratings of other prompts, and guesses by how much it points along the mean ({SPLITS}
splits of seed 0; the interval is over splits).
"""
    )


if __name__ == "__main__":
    main()
