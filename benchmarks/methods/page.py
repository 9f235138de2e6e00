"""The page of the methods benchmark: the best of each kind of feedback, and what every method did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.methods.results import table


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write methods.md with methods.json and a plot into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        f"{row['kind']}: {row['method']}": (row["win_rate"], row["low"], row["high"])
        for row in sorted(found["grid"], key=lambda r: (r["kind"], -r["win_rate"]))
        if not row["taught"] and row["prompts"] == found["best_by_kind"][row["kind"]]["prompts"]
    }
    title = "Win rate against base on fresh answers, by kind of feedback"
    plots.bars(folder / "methods.svg", title, rows, low=0.0, high=1.0)
    (folder / "methods.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "methods.md").write_text(words(found))


def words(found: dict[str, Any]) -> str:
    """Return the page."""
    best = "\n".join(_best(kind, row) for kind, row in sorted(found["best_by_kind"].items()))
    return f"""# Methods: which learns most from which kind of feedback

`python -m benchmarks.methods --page docs/benchmarks` ({found["machine"]}, {found["dtype"]}, commit
{found["commit"]}). Simulated people of `benchmarks.people`: {found["people"]}, seeds: {found["seeds"]}. The
same ratings are given as pairs, thumbs, ratings or edits (`benchmarks.methods.feedback` says how); each
method reads about as many answers as two epochs of pairs do, with its default parameters, and no teacher, so
that what differs is the loss. Their hidden taste then compares fresh answers to 24 other prompts with the
base model's answers of the same random seed. The intervals (95 %) resample whole people: **of few people
they are rough, and a difference whose interval includes 0 is no difference.**

![win rates](methods.svg)

{best}

## Every method

{table(found)}

Relevance: change of the cosine between prompt and answer. Perplexity: of neutral text. Nats: change of an
answer's log-probability in the last epoch. Cosine: of the gradients of liked and disliked answers (1: a
margin loss can hardly tell them apart). Seconds: of the processor, to train.
"""


def _best(kind: str, row: dict[str, Any]) -> str:
    text = (
        f"- **{kind}** ({row['prompts']} prompts, {row['people']} people): `{row['method']}`, "
        f"{row['win_rate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    )
    if row["runner_up"] is None:
        return f"{text}; nothing else was measured."
    gap = f"{row['difference']:+.2f} [{row['difference_low']:+.2f}, {row['difference_high']:+.2f}]"
    return f"{text}; ahead of `{row['runner_up']}` by {gap}."
