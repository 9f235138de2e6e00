"""Which method learns most from which kind of feedback, on equal compute.

    python -m benchmarks.methods [--json FILE] [--page FOLDER] [--quick] [--people 12] [--seeds 3]
        [--prompts 32 16 8] [--methods dpo kto ...] [--minutes 5]

The people of `benchmarks.people` rate the same four sampled answers to each prompt, which are then given as
pairs, thumbs, ratings or edits. Fresh answers to 24 other prompts are judged by the hidden taste without
noise, against the base model's answer with the same seed. Finished cells are kept in --folder and published
beside the page, and are not computed again: --minutes stops it, even within a cell, so that everything can be
computed in parts. A cell takes a minute or two on one core that multiplies bfloat16, more in float32; cells
of both stand on one page, which says which is which.
"""

from __future__ import annotations

import hashlib
import json
import os
import time

from benchmarks.kept import options_of
from benchmarks.kept import publish as tell
from benchmarks.machine import commit, machine
from benchmarks.methods.advice import adviser_regret
from benchmarks.methods.feedback import KINDS, MIDDLE, MOST_EPOCHS
from benchmarks.methods.page import write_page
from benchmarks.methods.results import Cells, summary, table, without_doubles
from benchmarks.methods.study import SELECTING, compute, draw, publish
from benchmarks.people.pool import FRESH, RATED
from benchmarks.shares import in_shares
from personalization import registry
from personalization.training import replay, run, select
from personalization.training.settings import TrainingSettings

QUICK = ("dpo", "ipo", "kto")  # two of one kind and one of another


def main() -> None:
    """Compute what is missing, then print the table and write the JSON and the page."""
    names = [m.name for m in registry.all_methods() if m.produces == "adapter" and m.data in KINDS]
    names += SELECTING
    parser = options_of(__doc__, "methods")
    parser.add_argument("--people", type=int, default=12, help="how many of the twelve, in their order")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, nargs="+", default=[32, 16, 8])
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    parser.add_argument(
        "--taught", action="store_true", help="with the vector of the ratings as teacher, too"
    )
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after so long; the rest another time"
    )
    parser.add_argument(
        "--quick", action="store_true", help="2 people, 3 methods, 2 prompts, short training: does it work?"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="people at the same time")
    parser.set_defaults(rated=RATED, fresh=FRESH)
    options = parser.parse_args()
    if options.quick:
        options.folder = options.folder / "quick"
        options.people, options.seeds, options.prompts = 2, 1, [2]
        options.rated = options.fresh = 2
        options.methods = [name for name in QUICK if name in options.methods]
    begun = time.monotonic()
    folder = draw(options, recipe())
    is_whole = in_shares(compute, options.processes, options, folder, begun + 60 * options.minutes)
    cells = list(Cells(folder / "cells.jsonl").found.values())
    found = summary(cells) | adviser_regret(without_doubles(cells))
    if not found["grid"]:
        parser.exit(
            0 if is_whole else 1, "No method was finished for two people yet: run the command again.\n"
        )
    found |= {"machine": machine(), "commit": commit()}
    tell(options, found, table(found), write_page)
    if options.page and not options.quick:
        publish(folder)
    if not is_whole:
        parser.exit(1, "Some cells failed (see above); what was computed is kept: run the command again.\n")


def recipe() -> str:
    """Return a name for the settings that all cells depend on: cells of other settings are other cells."""
    settings = (TrainingSettings(), select.OFF_TOPIC, select.TOPIC_EVERY, run.SINKING_NATS, run.ANCHOR)
    told = (replay.TEXTS, replay.TOKENS, replay.EACH_STEP, MIDDLE, MOST_EPOCHS)
    return hashlib.sha256(json.dumps(repr((settings, told))).encode()).hexdigest()[:8]


if __name__ == "__main__":
    main()
