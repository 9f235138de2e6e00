"""The page of the merging benchmark: the table, and the goal that each arm serves worst."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.merging.goals import MIXED
from benchmarks.merging.results import table


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write merging.md with merging.json and a plot into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, key in (("merging", "mean"), ("merging-worst", "worst")):
        rows = {row["arm"]: (row[key]["value"], row[key]["low"], row[key]["high"]) for row in found["rows"]}
        title = {"mean": "Mean win rate over the goals", "worst": "Win rate for the goal served worst"}[key]
        plots.bars(folder / f"{name}.svg", title, rows, low=0.0, high=1.0)
    (folder / "merging.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "merging.md").write_text(_words(found))


def _words(found: dict[str, Any]) -> str:
    pulls = found["conflict"]
    n = found["seeds"] * found["fresh"]
    return f"""# Merging: several goals in one adapter

`python -m benchmarks.merging --page docs/benchmarks` ({found["machine"]}, {found["dtype"]}, commit
{found["commit"]}). Three simulated people who rated the same {found["rated"]} prompts want plain words,
brevity, and lists. One adapter is trained for each, and one on the data of all three ("{MIXED}"); every way
to merge joins the three, each with weight 1 and its default parameters. Fresh answers to {found["fresh"]}
other prompts are judged by each hidden taste against the base model's answer of the same random seed:
{n} comparisons for each goal and arm, of {found["seeds"]} seed(s). Intervals (95 %) resample prompts, not
people or training runs: another draw of training data may move a number by more than they show.

{table(found)}

![mean over goals](merging.svg)
![the goal served worst](merging-worst.svg)

How far the three adapters pull apart, mean over layers and pairs: cosine of the weight changes
{pulls.get("cosine", 0):+.2f}, share of opposite signs {pulls.get("sign_conflict", 0):.2f} (unrelated: 0.50),
overlap of their directions {pulls.get("overlap", 0):.2f}. Loss is what compressing to the rank left out, as a
share of the merged change. Relevance is the change of the cosine between prompt and answer.
"""
