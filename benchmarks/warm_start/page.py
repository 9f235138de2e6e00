"""The page of the warm start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.outcomes import in_words
from benchmarks.warm_start.attack import CHANCE
from benchmarks.warm_start.study import ARMS, CROWD, EACH_RATES, SIZES

SIGNED = "+.3f"


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write warm_start.md, its plot and warm_start.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = {(r["arm"], r["prompts"]): (r["value"], r["low"], r["high"]) for r in found["grid"]}
    plots.lines(
        folder / "warm_start.svg",
        "Answers ordered as the person orders them",
        list(SIZES),
        {_named(arm): [cells[arm, size] for size in SIZES] for arm in ARMS},
        low=0.5,
        high=0.8,
        x_name="rated messages",
    )
    (folder / "warm_start.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "warm_start.md").write_text(
        f"""# A warm start: do few ratings go further beside stated values and other people's?

`python -m benchmarks.warm_start --page docs/benchmarks` ({found["machine"]}, {found["dtype"]}, commit
{found["commit"]}). The twelve simulated people of [people](people.md), seeds: {found["seeds"]}. *Stated*: the
value directions that a person's stated values point along. *Everybody*: the common taste of {CROWD} people
like the twelve, who rated {EACH_RATES} other prompts each, with the noise that the application adds
(`personalization.steering.shared`). *Strangers*: of as many people, none of whom has the person's own
temperament. How much the two count was chosen on these prompts and people, from a few round numbers; fresh
answers were not looked at for it. Intervals (95 %) resample whole people.

![How often answers are ordered as the person orders them, by rated messages](warm_start.svg)

{table(found)}

*Less eight alone*: the difference from eight rated prompts without a start, each person and seed with
themselves; what *alone* wins are cells of [people](people.md), same prompts and seeds. *Alone as strong*:
without a start, pushed as hard as with it. Bar: two prompts as good as eight alone; goal: one. *Order
differences alike*: whether two ways to look at people find the same ones unlike (representational
similarity, Spearman; 0 is no relation, 1 the same order): the words that they state, the directions of these
values, the tastes that all their ratings say; and whether answers that a person judges unlike are unlike to
the model. The attack: people with tastes drawn at random, some of them in the common taste; the attacker
knows it, and a taste of everybody, and guesses by how much that points along it (100 splits of seed 0; the
interval is over splits, each with noise of its own).
*Found*: of how many single releases a rank test at level {CHANCE:g} says that anything can be told at all;
{CHANCE:g} is chance. Whatever else an attacker knows, one release lets no AUC exceed
{found["attack_bound"]:.2f} (mu = {found["privacy"]:g}, Gaussian differential privacy).
"""
    )


def table(found: Mapping[str, Any]) -> str:
    """Return everything as Markdown tables."""
    cells = {(row["arm"], row["prompts"]): row for row in found["grid"]}
    head = " | ".join(f"{size} prompts" for size in SIZES)
    lines = [f"| orders answers as the person, with | {head} | 1 less eight alone | 2 less eight alone |"]
    lines.append("|---" * (len(SIZES) + 3) + "|")
    for arm in ARMS:
        shown = [in_words(cells[arm, size]) for size in SIZES]
        shown += [in_words(found["less_eight_alone"][arm][size], SIGNED) for size in (1, 2)]
        lines.append(f"| {_named(arm)} | " + " | ".join(shown) + " |")
    if fresh := found.get("fresh"):
        lines += ["", "| fresh answers with the vector | prompts | wins | less eight alone | relevance |"]
        lines.append("|---" * 5 + "|")
        lines += [
            f"| {_named(row['arm'])} | {row['prompts']} | {in_words(row)} "
            f"| {in_words(row['less_eight_alone'], SIGNED)} | {in_words(row['relevance'], SIGNED)} |"
            for row in fresh
        ]
    lines += ["", "| order differences alike | rank correlation |", "|---" * 2 + "|"]
    lines += [f"| {name} of people | {in_words(row)} |" for name, row in found["alike"].items()]
    lines += [f"| a person's judgements of answers and the model's states | {in_words(found['seen'])} |"]
    lines += [
        "",
        "| the attacker knows | people in it | noise | AUC (chance 0.5) | found |",
        "|---" * 5 + "|",
    ]
    lines += [
        f"| {row['known']} | {row['inside']} of {row['people']} | {'yes' if row['noise'] else 'no'} "
        f"| {in_words(row)} | {row['detected']:.2f} |"
        for row in found["membership"]
    ]
    return "\n".join(lines)


def _named(arm: str) -> str:
    return arm.replace("_", " ")
