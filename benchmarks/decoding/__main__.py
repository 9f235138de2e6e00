"""Does it pay to write several answers and keep the one that a person's own reward likes best?

    python -m benchmarks.decoding [--json FILE] [--page docs/benchmarks] [--quick] [--seeds 0 1 2 3 4]

The people, prompts and rated answers of `benchmarks.people` (its published texts are reused). The base
model's eight attempts are shared by everybody; the four with each person's vector are their own, and take
most of the time: --no-vector leaves them out. For the first --searched people, with the first seed and the
most rated prompts, answers are also written anew token by token (`benchmarks.decoding.searches`), four
minutes on two cores for each. Finished cells are kept in --folder.
"""

from __future__ import annotations

import argparse
import os
import time

from benchmarks.decoding import searches
from benchmarks.decoding.cells import Cells
from benchmarks.decoding.results import summary, table, write_page
from benchmarks.decoding.study import Study
from benchmarks.kept import options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.people import arms
from benchmarks.people.pool import FRESH, RATED
from benchmarks.people.study import texts_for
from benchmarks.shares import in_shares
from personalization.models.base import load
from personalization.models.precision import half_precision, precision_of


def main() -> None:
    """Compute what is missing, then print the table and write the JSON and the page."""
    options = _options()
    begun = time.monotonic()
    base = load(options.model, options.models)
    dtype = precision_of(base, wanted=not options.exact)
    folder = options.folder / f"{base.revision}-{dtype}-{arms.recipe()}"
    pools = texts_for(base, dtype)
    if options.quick:
        folder = pools = folder / "quick"
    sizes = {"rated_prompts": options.rated, "fresh_prompts": options.fresh}
    with half_precision(base, wanted=not options.exact):
        study = Study(base, folder, pools, options.people, sizes=sizes)
        try:
            for seed in options.seeds:
                for prompts in options.prompts:
                    study.run(seed, prompts, with_vector=options.vector)
        finally:
            study.close()
    if options.searched:
        in_shares(searches.compute, options.processes, options, folder, pools)
    found = summary(list(Cells(folder).found.values()))
    found |= {"machine": machine(), "dtype": dtype, "commit": commit(), "seconds": time.monotonic() - begun}
    publish(options, found, table(found), write_page)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, "decoding")
    parser.add_argument("--people", type=int, default=12, help="how many of the twelve, in their order")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--prompts", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--vector", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--searched", type=int, default=6, help="how many of the people, of the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="people searched for at once")
    parser.add_argument(
        "--quick", action="store_true", help="2 people, 1 seed, 8 rated and 4 fresh prompts, no searches"
    )
    parser.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
    parser.set_defaults(rated=RATED, fresh=FRESH)
    options = parser.parse_args()
    if options.quick:
        options.rated, options.fresh, options.people, options.seeds, options.prompts = 8, 4, 2, [3], [8]
        options.searched = 0
    return options


if __name__ == "__main__":
    main()
