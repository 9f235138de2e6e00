"""The page of the methods benchmark: the best of each kind of feedback, what every method did, and advice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.methods.results import HELD_OUT, table
from benchmarks.outcomes import in_words

SIGNED = "+.3f"
BAR, GOAL = 0.03, 0.01  # regret of the adviser, in win rate


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write methods.md with methods.json and a plot for each kind of feedback into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in sorted(found["best_by_kind"]):
        _plot(folder / f"methods-{kind}.svg", kind, found)
    (folder / "methods.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "methods.md").write_text(words(found))


def words(found: dict[str, Any]) -> str:
    """Return the page."""
    best = "\n".join(_best(row) for row in found["best"])
    pictures = "\n\n".join(f"![{kind}](methods-{kind}.svg)" for kind in sorted(found["best_by_kind"]))
    return f"""# Methods: which learns most from which kind of feedback

`python -m benchmarks.methods --page docs/benchmarks` ({found["machine"]}, commit
{found["commit"]}). Simulated people of `benchmarks.people`: {found["people"]}, seeds: {found["seeds"]}. The
same ratings are given as each kind of feedback (`benchmarks.methods.feedback` says how); each
method reads about as many answers as two epochs of pairs do, with its default parameters, and no teacher, so
that what differs is the loss. Their hidden taste then compares fresh answers to 24 other prompts with the
base model's answers of the same random seed. The intervals (95 %) resample whole people: **of few people
they are rough, and a difference whose interval includes 0 is no difference.** Everybody reads the texts of
the same draw, which favour or hinder every method alike: compare methods here, and win rates over several
draws on [people](people.md).

{best}

{pictures}

## Every method

{table(found)}

Less `dpo`: how much more it wins than DPO of the same ratings' pairs, each person with themselves; critiques
are words beside those pairs, and methods of prompts have them judge what the model writes. Who has no judge
after so many prompts has no cells of these. Relevance: change of the cosine between prompt and answer.
Perplexity, and KL to the base model for each token: of neutral text. Gate: how many adapters, one for each
person and seed, the safety gate passes at full strength, where it was asked; the application would weaken
the others. Nats: change of an answer's log-probability in the last epoch. Cosine: of the gradients of liked
and disliked answers (1: a margin loss can hardly tell them apart). Seconds: of the processor, to train.
`dpo:similarity` and `dpo:likelihood` learn from the half of the pairs that is most like the person's messages
(ZIP-FIT), or likeliest to the base model.
{_held_out(found)}{_precision(found)}

## Gradient entanglement

{_entanglement(found)}

## The adviser

{_advice(found)}
"""


def _plot(file: Path, kind: str, found: dict[str, Any]) -> None:
    """Write lines over the numbers of prompts, or bars where there is one."""
    rows = [row for row in found["grid"] if row["kind"] == kind and not row["taught"]]
    everybody = {size: max(r["people"] for r in rows if r["prompts"] == size) for size in _sizes(rows)}
    rows = [row for row in rows if row["people"] == everybody[row["prompts"]]]  # fewer are other people
    sizes = _sizes(rows)
    title = f"From {kind}: win rate against base on fresh answers"
    cells = {
        (row["method"], row["prompts"]): (row["win_rate"], row["low"], row["high"])
        for row in sorted(rows, key=lambda row: -row["win_rate"])
    }
    methods = list(dict.fromkeys(method for method, _ in cells))
    if len(sizes) == 1:
        plots.bars(file, title, {m: cells[m, sizes[0]] for m in methods}, low=0.0, high=1.0)
        return
    lines = {m: [cells.get((m, size)) for size in sizes] for m in methods}
    plots.lines(file, title, sizes, lines, low=0.3, high=1.0, x_name="messages with feedback")


def _sizes(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted({row["prompts"] for row in rows})


def _best(row: dict[str, Any]) -> str:
    text = (
        f"- **{row['kind']}** ({row['prompts']} prompts, {row['people']} people): `{row['method']}`, "
        f"{row['win_rate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    )
    if row["runner_up"] is None:
        return f"{text}; nothing else was measured."
    gap = f"{row['difference']:+.2f} [{row['difference_low']:+.2f}, {row['difference_high']:+.2f}]"
    said = "" if row["difference_low"] > 0 else ", which is no difference"
    return f"{text}; ahead of `{row['runner_up']}` by {gap}{said}."


def _held_out(found: dict[str, Any]) -> str:
    if not any(row["held_out"] for row in found["grid"]):
        return ""
    return (
        "Held out: how often an adapter's implicit reward prefers what the person preferred, of "
        f"{HELD_OUT} further rated prompts, where it was asked.\n"
    )


def _precision(found: dict[str, Any]) -> str:
    dtypes = sorted({row["dtype"] for row in found["grid"]})
    text = f"Computed in {' and, where it says so, '.join(dtypes)}, whose seconds do not compare."
    if len(dtypes) == 1:
        text = f"Computed in {dtypes[0]}."
    if again := found["precision"]:
        text += (
            f" {', '.join(f'`{name}`' for name in again['methods'])} in both, {again['n']} cells of "
            f"{again['people']} people: {again['dtype']} wins {again['difference']:+.3f} more than "
            f"{again['other']}, and one cell differs by {again['spread']:.2f} (standard deviation)."
        )
    return text


def _entanglement(found: dict[str, Any]) -> str:
    rows = found["entanglement"]
    if not rows:
        return "No method here was given a disliked answer."
    lines = ["| learns from | method | cosine of the gradients | liked answers lost |", "|---" * 4 + "|"]
    lines += [
        f"| {row['kind']} | `{row['method']}` | {in_words(row['cosine'])} | {in_words(row['sank'])} |"
        for row in sorted(rows, key=lambda row: (row["kind"], row["cosine"]["value"]))
    ]
    told = (
        "\n\nCosine: of the gradients of liked and of disliked answers after the last epoch. Lost: the share "
        "of people and seeds whose liked answers became less likely in that epoch."
    )
    return "\n".join(lines) + told


def _advice(found: dict[str, Any]) -> str:
    regret = found.get("adviser_regret")
    if not regret:
        return "Too few people or methods to say what following the adviser loses."
    by_kind = "\n".join(
        f"- {kind}: {in_words(row, SIGNED)}, advised: {', '.join(row['advised'])}"
        for kind, row in sorted(found["adviser_regret_by_kind"].items())
    )
    return f"""Each person is left out of the table that advises them, with nothing acting, and follows it.
Against the best sound method of hindsight, chosen on the other seeds (of one seed: the other half of the
prompts), that loses **{in_words(regret, SIGNED)}** win rate; the bar is {BAR:g}, the goal {GOAL:g}.

{by_kind}"""
