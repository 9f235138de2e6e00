"""How well merged adapters serve several goals, beside mixing the data and each adapter alone.

    python -m benchmarks.merging [--json FILE] [--page FOLDER] [--quick] [--seeds 2] [--ways cat ties ...]

One process on one thread. Three adapters with competing goals and one on the data of all are trained on
simulated people's ratings (a quarter of an hour a seed), then merged in every way and asked 24 fresh prompts.
Adapters and finished cells are kept in --folder; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import signal
import sys
import time

from benchmarks.kept import options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.merging.page import write_page
from benchmarks.merging.results import Cells, summary, table
from benchmarks.merging.study import compute
from personalization.merging.registry import all_ways


def main() -> None:
    """Compute what is missing, then print the table and write the JSON and the page."""
    ways = [way.name for way in all_ways()]
    parser = options_of(__doc__, "merging")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rated", type=int, default=32, help="prompts that everybody rates")
    parser.add_argument("--fresh", type=int, default=24, help="prompts that are asked afterwards, 24 at most")
    parser.add_argument("--ways", nargs="+", default=ways, choices=ways)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
    parser.add_argument("--quick", action="store_true", help="1 seed, 6 rated and 6 fresh prompts")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.rated, options.fresh = 1, 6, 6
        options.folder = options.folder / "quick"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaving in order keeps a checkpoint
    begun = time.monotonic()
    folder, dtype = compute(options)
    found = summary(Cells(folder / "cells.jsonl"))
    found |= {"machine": machine(), "dtype": dtype, "commit": commit(), "rated": options.rated}
    found["seconds"] = time.monotonic() - begun
    publish(options, found, table(found), write_page)


if __name__ == "__main__":
    main()
