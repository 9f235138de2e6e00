"""The page of the people benchmark: the table, the curves, who gained, and when it pays to train."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.outcomes import in_words
from benchmarks.people.pool import DRAWS
from benchmarks.people.results import MOST_PERPLEXITY_RATIO, MOST_RELEVANCE_LOST, table

CURVES = ("system_message", "in_context", "vector", "adapter", "both")


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write people.md with people.json and two plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = sorted({row["prompts"] for row in found["grid"]})
    cells = {(row["arm"], row["prompts"]): row for row in found["grid"]}
    curves = {
        arm.replace("_", " "): [_interval(cells.get((arm, size))) for size in sizes]
        for arm in CURVES
        if any((arm, size) in cells for size in sizes)
    }
    plots.lines(
        folder / "people.svg", "Win rate against base on fresh answers", sizes, curves, low=0.3, high=1.0,
        x_name="rated prompts, four answers each",
    )  # fmt: skip
    each = {name: _interval(row) for name, row in found["people"].items()}
    title = f"Each person, {found['best']['method']} after {sizes[-1]} prompts"
    plots.bars(folder / "people-each.svg", title, {k: v for k, v in each.items() if v}, low=0.0, high=1.0)
    (folder / "people.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "people.md").write_text(_words(found))


def _words(found: dict[str, Any]) -> str:
    best, harmed = found["best"], [n for n, row in found["people"].items() if row["low"] <= 0.40]
    return f"""# People: how much closer feedback brings the model

`python -m benchmarks.people --page docs/benchmarks` ({found["machine"]}, {found["dtype"]}, commit
{found["commit"]}). {found["grid"][-1]["people"]} simulated people rate four sampled answers to each prompt;
seeds: {found["seeds"]}. Their hidden taste, which no method sees, then compares fresh answers to 24 other
prompts with the base model's answers of the same random seed. The intervals (95 %) resample whole people.

![win rates](people.svg)

{table(found)}

Best of those that keep to the question (relevance at most {MOST_RELEVANCE_LOST} worse) and leave neutral
text as it was (perplexity at most {100 * (MOST_PERPLEXITY_RATIO - 1):.0f} % worse):
**{best["method"]} after {best["prompts"]} prompts, {best["win_rate"]:.2f}
[{best["low"]:.2f}, {best["high"]:.2f}]**. People whose lower bound is not above 0.40:
{", ".join(harmed) or "none"}.

![each person](people-each.svg)

## When it pays to train

The difference between an adapter and the vector that follows every rating, each person and seed
compared with themselves:

{_pays(found)}

## What the safety gate holds back

A vector that the gate refuses whole acts at the first weaker strength that passes
(`personalization.safety.weaken`); below a tenth it does not act. Of people and seeds:

{_gate(found)}

Relevance is the change of the cosine between prompt and answer, against the mean of {DRAWS} answers of the
base model to each prompt, and perplexity that of neutral text. The random vector and the mean of the other
people's vectors are controls: they have the vector's norm and layer. The gated vector acts as strongly as the
safety gate lets it, as the application serves it; the other arms at full strength, whatever the gate says.
"""


def _pays(found: Mapping[str, Any]) -> str:
    lines = ["| prompts | adapter - vector | both - vector | seconds to train |", "|---|---|---|---|"]
    for row in found["pays"]:
        shown = [in_words(row[name], "+.2f") if row[name] else "" for name in ("adapter", "both")]
        lines.append(f"| {row['prompts']} | {shown[0]} | {shown[1]} | {row['seconds']:.0f} |")
    return "\n".join(lines)


def _gate(found: Mapping[str, Any]) -> str:
    lines = [
        "| prompts | passed whole | weakened, to | not at all | wins, less those at full strength "
        "| less those had the gate said yes or no |",
        "|---" * 6 + "|",
    ]
    for row in found["gate"]:
        share = "" if row["share"] is None else f", {row['share']:.2f} on average"
        lines.append(
            f"| {row['prompts']} | {row['n'] - row['weakened'] - row['nothing']} of {row['n']} "
            f"| {row['weakened']}{share} | {row['nothing']} | {in_words(row['less_full'], '+.2f')} "
            f"| {in_words(row['less_refused'], '+.2f')} |"
        )
    return "\n".join(lines)


def _interval(row: Mapping[str, Any] | None) -> plots.Interval | None:
    if row is None:
        return None
    return row["win_rate" if "win_rate" in row else "value"], row["low"], row["high"]
