"""What are reward models of several people worth? Accuracy and calibration on public comparisons.

    python -m benchmarks.judges [--json FILE] [--page docs/benchmarks] [--rows 12]

Items are held out in five turns, so that each is judged once by models that never saw it; nothing else is
chosen by looking at them. Reading all answers once takes one core some minutes; they are kept in --folder.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from benchmarks.agreement.data import FOLDER
from benchmarks.judges import data
from benchmarks.judges.page import table, write_page
from benchmarks.kept import options_of, publish
from benchmarks.machine import commit, machine
from personalization.evaluation.judges import Judged, judge, measure
from personalization.judging.comparisons import Comparisons, States, read
from personalization.models.base import BaseModel, load
from personalization.records import Pair
from personalization.steering.reward import mean_norms_of

TURNS = 5


def main() -> None:
    """Read, measure, print, and write JSON and page."""
    parser = options_of(__doc__, "judges")
    parser.add_argument("--rows", type=int, help="only the first so many rows of each file")
    options, begun = parser.parse_args(), time.monotonic()
    if not (FOLDER / "prism/pairs.jsonl").exists():
        sys.exit(f"There is no prism/pairs.jsonl in {FOLDER}; set ALIGN_DATA to the folder that holds it.")
    base = load(options.model, options.models)
    sets: dict[str, Any] = {}
    states: States = {}
    for name, said in data.read(FOLDER, first=options.rows).items():
        read_more(base, [pair for pairs in said.values() for pair in pairs], states, options.folder)
        sets[name] = measure_in_turns(said, states) | {"set": name}
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    found: dict[str, Any] = {"sets": sets, "machine": machine(), "commit": commit(), "model": base.name}
    found |= {"rows": options.rows, "seconds": time.monotonic() - begun}
    publish(options, found, table(found), write_page)


def read_more(base: BaseModel, pairs: list[Pair], states: States, folder: Path) -> None:
    """Add the states of answers that are not known yet, read now or at an earlier call."""
    every = dict.fromkeys((p.prompt, text) for p in pairs for text in (p.chosen, p.rejected))
    if not (answers := [answer for answer in every if answer not in states]):
        return
    told = hashlib.sha256(repr((base.revision, answers)).encode()).hexdigest()
    file = folder / f"states-{told[:16]}.safetensors"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = [p for p in pairs if any((p.prompt, text) not in states for text in (p.chosen, p.rejected))]
        found = read(base, fresh, progress=lambda *_: None)
        save_file({"states": np.stack([found[answer] for answer in answers])}, file)
    states.update(zip(answers, load_file(file)["states"], strict=True))


def measure_in_turns(said: data.Said, states: States) -> dict[str, Any]:
    """Return `measure` over all items, each judged by models that did not see it."""
    norms = mean_norms_of(
        [states[p.prompt, text] for pairs in said.values() for p in pairs for text in (p.chosen, p.rejected)]
    )
    comparisons = Comparisons.of(said, states, norms)
    items = sorted(set(comparisons.items))
    turn = dict(
        zip(
            np.random.default_rng(1).permutation(items).tolist(),
            (np.arange(len(items)) % TURNS).tolist(),
            strict=True,
        )
    )
    place = np.asarray([turn[item] for item in comparisons.items])
    margins: dict[str, Any] = {}
    for number in range(TURNS):
        inside = np.flatnonzero(place == number)
        judged = judge(comparisons.take(np.flatnonzero(place != number)), comparisons.take(inside))
        for name, found in judged.margins.items():
            margins.setdefault(name, np.zeros(len(comparisons)))[inside] = found
    return measure(Judged(judged.learned, judged.train, comparisons, margins))


if __name__ == "__main__":
    main()
