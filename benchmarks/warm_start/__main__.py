"""Do one or two rated prompts with a warm start tell as much as eight alone, and who is in it?

    python -m benchmarks.warm_start [--json FILE] [--page docs/benchmarks] [--quick] [--seeds 3] [--no-fresh]

The twelve people of `benchmarks.people`. Where a start holds what others like, it is that of a crowd without
anybody of the person's own temperament, who rated other prompts, with the noise that the application adds.
Measured are how often a taste orders two answers to prompts 9 to 20 as the person does; what fresh answers
win with its vector, twelve minutes on two cores for each seed, which --no-fresh leaves out; and an attack
that asks who is in the common taste.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kept import options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.outcomes import over_people
from benchmarks.people.pool import pool_of, states_of
from benchmarks.people.study import texts_for
from benchmarks.warm_start import attack
from benchmarks.warm_start.alike import alike, seen
from benchmarks.warm_start.fresh import ALONE, FRESH, fresh_rows
from benchmarks.warm_start.page import table, write_page
from benchmarks.warm_start.study import ARMS, SIZES, Row, Seed, accuracies, difference, mean_of
from personalization.engine.local import LocalEngine
from personalization.models.base import load
from personalization.models.precision import half_precision, precision_of
from personalization.simulation.people import population
from personalization.steering.instant import layers_of, read_subject
from personalization.steering.shared import (
    FEWEST_PEOPLE,
    PRIVACY,
    Floats,
    attack_bound,
    axes_of,
    read_directions,
)
from personalization.values.effects import place

VALUES = Path("var/values")
SPLITS = 100
EIGHT_ALONE = ("alone", 8)
# The attack: (people, of whom in the taste, whether with noise). Noise takes FEWEST_PEOPLE at least.
ATTACKS = (
    (60, 20, False),
    (3 * FEWEST_PEOPLE, FEWEST_PEOPLE, False),
    (3 * FEWEST_PEOPLE, FEWEST_PEOPLE, True),
)


def main() -> None:
    """Measure, print, and write JSON and page."""
    options = _options()
    base = load(options.model, options.models)
    dtype = precision_of(base)
    folder, directions_at = texts_for(base, dtype), place(VALUES, base.revision)
    layers = layers_of(len(base.layers))
    directions = read_directions(directions_at, layers)
    people = population()
    with half_precision(base):
        engine = LocalEngine(base, max_rows=128, queue_limit=1_000_000)
        try:
            seeds = []
            for number in range(options.seeds):
                pool = pool_of(number, engine, folder)
                states = states_of(pool, base, folder)[:, list(layers)].numpy()
                seeds.append(Seed(pool, states.astype(np.float32), layers))
                print(f"seed {number}", file=sys.stderr, flush=True)
            fresh: list[Row] = []
            if options.fresh:
                subject = read_subject(directions_at, layers)
                fresh = fresh_rows(seeds, people, directions, subject, engine, folder)
        finally:
            engine.close()
    found = {
        **_told(accuracies(seeds, people, directions)),
        **(_won(fresh) if fresh else {}),
        "alike": {name: found.as_dict() for name, found in alike(seeds, people, directions).items() if found},
        "seen": over_people(
            [(value, name) for name, values in seen(seeds, people).items() for value in values]
        ).as_dict(),
        "membership": _attacked(seeds[0], axes_of(directions), options.splits),
        "privacy": PRIVACY,
        "attack_bound": attack_bound(),
        "machine": machine(),
        "dtype": dtype,
        "commit": commit(),
        "seeds": len(seeds),
    }
    publish(options, found, table(found), write_page)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, "warm_start")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fresh", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--quick", action="store_true", help="one seed, no fresh answers, five splits of the attack"
    )
    options = parser.parse_args()
    options.splits = SPLITS
    if options.quick:
        options.seeds, options.fresh, options.splits = 1, False, 5
    return options


def _told(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the shares of rightly ordered answers, and how far few prompts with a start are from eight."""
    return {
        "grid": [
            {"arm": arm, "prompts": size, **mean_of(rows, arm, size).as_dict()}
            for arm in ARMS
            for size in SIZES
        ],
        "less_eight_alone": {
            arm: {size: difference(rows, (arm, size), EIGHT_ALONE).as_dict() for size in (1, 2)}
            for arm in ARMS
        },
    }


def _won(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the win rates of fresh answers, and how far few prompts with a start are from eight alone."""
    arms = [*(("alone", size) for size in ALONE), *FRESH]
    return {
        "fresh": [
            {
                "arm": arm,
                "prompts": size,
                **mean_of(rows, arm, size, "wins").as_dict(),
                "relevance": mean_of(rows, arm, size, "relevance").as_dict(),
                "less_eight_alone": difference(rows, (arm, size), EIGHT_ALONE, "wins").as_dict(),
            }
            for arm, size in arms
        ]
    }


def _attacked(seed: Seed, axes: Floats, splits: int) -> list[dict[str, Any]]:
    crowd = attack.drawn_people(max(people for people, _, _ in ATTACKS))
    contributed, others = attack.tastes_of(seed, crowd)
    found = []
    for people, inside, is_private in ATTACKS:
        for name, known in (("the ratings that went in", contributed), ("ratings of other prompts", others)):
            auc, detected = attack.membership(
                contributed[:people],
                known[:people],
                axes,
                inside=inside,
                splits=splits,
                is_private=is_private,
            )
            row = {"inside": inside, "people": people, "noise": is_private, "known": name}
            found.append({**row, **auc.as_dict(), "detected": detected})
    return found


if __name__ == "__main__":
    main()
