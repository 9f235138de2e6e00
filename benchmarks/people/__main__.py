"""How much closer a person's feedback brings the model to them, by method and number of rated prompts.

    python -m benchmarks.people [--json FILE] [--quick] [--people 12] [--seeds 3] [--prompts 1 2 4 8 16 32]

Twelve simulated people (five clean tastes, two noisy hands, three mixtures, two who choose in circles)
rate the same four sampled answers to each prompt. Fresh answers to 24 other prompts are judged by the
hidden taste without noise, against the base model's answer with the same seed. Finished cells are kept
in --folder, and published beside the page, by the settings that they depend on, and are not computed
again. On two cores everything takes hours, mostly for adapters. Where the CPU multiplies bfloat16, all
arms and the base model use it (--exact: float32, as the application serves).
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks.kept import options_of
from benchmarks.machine import commit, machine
from benchmarks.people import arms
from benchmarks.people.page import write_page
from benchmarks.people.pool import DRAWS, FRESH, RATED
from benchmarks.people.results import Cells, summary, table
from benchmarks.people.study import compute, draw, publish
from benchmarks.shares import in_shares


def main() -> None:
    """Compute what is missing, then print the table and write the JSON and the page."""
    parser = options_of(__doc__, "people")
    parser.add_argument("--people", type=int, default=12, help="how many of the twelve, in their order")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, nargs="+", default=[32, 4, 1, 2, 8, 16])
    parser.add_argument("--arms", nargs="+", default=arms.ARMS, choices=arms.ARMS)
    parser.add_argument(
        "--quick", action="store_true", help="2 people, 1 seed, 4 rated and 4 fresh prompts, without adapters"
    )
    parser.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="people at the same time")
    parser.set_defaults(rated=RATED, fresh=FRESH, draws=DRAWS)
    options = parser.parse_args()
    if options.quick:
        options.rated = options.fresh = options.draws = 4
        options.folder = options.folder / "quick"
        options.people, options.seeds, options.prompts = 2, 1, [4]
        options.arms = [arm for arm in options.arms if arm not in arms.TRAINED]
    begun = time.monotonic()
    folder, dtype = draw(options)
    is_whole = in_shares(compute, options.processes, options, folder)
    found = summary(Cells(folder / "cells.jsonl").all())
    found |= {"machine": machine(), "dtype": dtype, "commit": commit(), "seconds": time.monotonic() - begun}
    print(table(found))
    best = "best: {method} after {prompts} prompts, {win_rate:.2f} [{low:.2f}, {high:.2f}]"
    print(best.format(**found["best"]))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    if options.page:
        write_page(options.page, found)
        publish(folder)
    if not is_whole:
        sys.exit("Some cells failed (see above); what was computed is kept: run the command again.")


if __name__ == "__main__":
    main()
