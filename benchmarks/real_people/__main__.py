"""Does what a real person chose tell what they choose in another conversation? PRISM's 40 pairs.

    python -m benchmarks.real_people [--json FILE] [--page docs/benchmarks] [--quick]

Every conversation is left out once; a direction learned in closed form from the person's other
conversations must raise the answer that they chose there. Finished conversations are kept in --folder.
One core needs about five minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from benchmarks.kept import Kept, options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.real_people import arms
from benchmarks.real_people.data import FOLDER, folds, read
from benchmarks.real_people.page import table, verdict, write_page
from benchmarks.real_people.results import summary
from personalization.models.base import load
from personalization.models.precision import half_precision, precision_of


def main() -> None:
    """Measure what is missing, print, and write JSON and page."""
    options = _options()
    if not (FOLDER / "pairs.jsonl").exists():
        sys.exit(f"There is no pairs.jsonl in {FOLDER}; set ALIGN_DATA to the folder that holds prism/.")
    people, random_directions = read(), arms.RANDOM
    if options.quick:
        people, random_directions = dict(list(people.items())[:2]), 1
    base = load(options.model, options.models)
    dtype = precision_of(base, wanted=not options.exact)
    kind = "quick" if options.quick else "full"
    kept = Kept(options.folder / f"{base.revision}-{dtype}-{kind}.jsonl")
    known = {(fold["person"], fold["conversation"]) for fold in kept.rows}
    every = list(folds(people))
    if options.quick:
        every = [next(fold for fold in every if fold.person == person) for person in people]
    with half_precision(base, wanted=not options.exact):
        study = arms.Arms(base, random_directions=random_directions)
        for fold in (fold for fold in every if fold.key not in known):
            begun = time.monotonic()
            row: dict[str, Any] = {"person": fold.person, "conversation": fold.conversation}
            row |= {"outcomes": study.outcomes(fold), "seconds": time.monotonic() - begun}
            kept.add(row)
            told = f"{len(kept.rows)} of {len(every)} conversations, {row['seconds']:.0f} s"
            print(told, file=sys.stderr, flush=True)
    found = summary(kept.rows)
    found |= {"machine": machine(), "dtype": dtype, "commit": commit(), "model": base.name}
    found |= {"layer": int(arms.LAYER_SHARE * len(base.layers)), "layers": len(base.layers)}
    found |= {"strength": arms.STRENGTH, "prior_pairs": arms.PRIOR_PAIRS}
    found |= {"random_directions": random_directions, "seconds": sum(row["seconds"] for row in kept.rows)}
    publish(options, found, f"{verdict(found)}\n\n{table(found)}", write_page)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, "real_people")
    parser.add_argument("--quick", action="store_true", help="one conversation each of two people")
    parser.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
    return parser.parse_args()


if __name__ == "__main__":
    main()
