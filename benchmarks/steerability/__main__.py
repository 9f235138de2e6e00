"""How far a vector moves a model along a trait, and what it costs: eight traits, held-out statements.

    python -m benchmarks.steerability [--json FILE] [--page docs/benchmarks] [--quick] [--seeds 3]

Each trait's vector is the mean difference of hidden states (contrastive activation addition, Rimsky et
al. 2023, arXiv:2312.06681) between its statements and those of the other traits, from half of the
statements. Effects are read on the other half and on generated answers to open questions, beside a random
vector of the same norm. Finished cells are kept in --folder. An idle core needs about 25 minutes.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.kept import Kept, options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.steerability.measure import Study
from benchmarks.steerability.page import headline, write_page
from benchmarks.steerability.results import summary
from benchmarks.steerability.statements import FOLDER, QUICK, Sizes, read
from personalization.models.base import load
from personalization.models.precision import half_precision, precision_of


def main() -> None:
    """Measure what is missing, print, and write JSON and page."""
    options = _options()
    if not FOLDER.exists():
        sys.exit(f"The statements are not in {FOLDER}; set ALIGN_DATA to the folder that holds persona/.")
    statements, sizes = read(), QUICK if options.quick else Sizes()
    wanted = list(statements)[:1] if options.quick else list(statements)
    seeds = 1 if options.quick else options.seeds
    base = load(options.model, options.models)
    dtype = precision_of(base, wanted=not options.exact)
    kind = "quick" if options.quick else "full"
    kept = Kept(options.folder / f"{base.revision}-{dtype}-{kind}.jsonl")
    done = {(cell["trait"], cell["seed"]) for cell in kept.rows}
    with half_precision(base, wanted=not options.exact):
        for seed in range(seeds):
            study = Study(base, statements, seed=seed, sizes=sizes)
            for trait in (name for name in wanted if (name, seed) not in done):
                begun = time.monotonic()
                cell = study.cell(trait) | {"seconds": time.monotonic() - begun}
                kept.add(cell)
                told = f"{len(kept.rows)} of {seeds * len(wanted)}: {trait}, seed {seed}"
                print(f"{told}, {cell['seconds']:.0f} s", file=sys.stderr, flush=True)
    found = summary(kept.rows)
    found |= {"machine": machine(), "dtype": dtype, "commit": commit(), "model": base.name}
    found["seconds"] = sum(cell["seconds"] for cell in kept.rows)
    publish(options, found, headline(found), write_page)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, "steerability")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one trait, few statements, one seed")
    parser.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
    return parser.parse_args()


if __name__ == "__main__":
    main()
