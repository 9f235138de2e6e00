"""The page of the steering fit's times, its plot and its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.timing import quietness, spread

BAR_SECONDS, GOAL_SECONDS = 0.050, 0.010
NAMES = {
    "palign": "PAlign: scikit-learn's logistic regression for each head",
    "anew": "ridge regressions anew for each person (alignapp before)",
    "cold": "ours, one person, cold: the base model is read first",
    "from_disk": "ours, one person, from disk",
    "warm": "ours, one person after the other, warm",
    "warm_held_out": "the same, each with 30 items of their own held out",
    "together_10": "ours, 10 people in one call",
    "together_100": "ours, 100 people in one call",
    "together_1000": "ours, 1000 people in one call",
    "together_100_held_out": "ours, 100 people in one call, each with 30 items of their own held out",
}


def table(found: Mapping[str, Any]) -> str:
    """Return the times as a Markdown table: milliseconds for one call, and for each person."""
    lines = ["| way | people | ms for each person, median (range) | ms in all |", "|---|---|---|---|"]
    for name, label in NAMES.items():
        way = found["ways"][name]
        each = [seconds / way["people"] for seconds in way["all"]]
        lines.append(
            f"| {label} | {way['people']} | {spread(each, scale=1e3, digits=2)} | {way['median'] * 1e3:.1f} |"
        )
    return "\n".join(lines)


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write steering_fit.md, .json and .svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "steering_fit.json").write_text(json.dumps(found, indent=1) + "\n")
    counts = (1, 10, 100, 1000)
    names = ("warm", *(f"together_{count}" for count in counts[1:]))
    points = [_each(found["ways"][name]) for name in names]
    plots.lines(
        folder / "steering_fit.svg",
        "Milliseconds for each person, by how many are fitted in one call",
        counts,
        {"in one call": points, "one by one": [_each(found["ways"]["warm"])] * len(counts)},
        low=0.0,
        high=max(p[2] for p in (*points, _each(found["ways"]["warm"]))),
        x_name="people in the call",
    )
    (folder / "steering_fit.md").write_text(_words(found))


def _each(way: Mapping[str, Any]) -> plots.Interval:
    """Return milliseconds for each person."""
    median, low, high = (way[key] * 1e3 / way["people"] for key in ("median", "low", "high"))
    return median, low, high


def _words(found: Mapping[str, Any]) -> str:
    ways, agreed = found["ways"], found["agreement"]
    apart = agreed["greatest_relative_difference"]
    one, before = (ways[name]["median"] / ways[name]["people"] for name in ("warm", "anew"))
    crowd, palign = ways["together_1000"], ways["palign"]["median"]
    met = "the goal is" if one <= GOAL_SECONDS else "the bar is" if one <= BAR_SECONDS else "neither is"
    goals = f"bar {BAR_SECONDS * 1e3:.0f} ms, goal {GOAL_SECONDS * 1e3:.0f} ms: {met} met"
    return f"""# How long a personality fit takes

Written by `python -m benchmarks.steering_fit --page docs/benchmarks`.

**One person, warm cache: {one * 1e3:.1f} ms ({goals}).
{crowd["people"]} people in one call: {crowd["median"]:.2f} s.** PAlign's fit of one person takes
{palign / one:.0f} times as long, ridge regressions anew for each person {before / one:.1f} times.

![Milliseconds for each person](steering_fit.svg)

{table(found)}

Everybody answers the same items, so what each head holds at them is read once for a base model and kept on
disk (checked when read, bounded), and each head's regression is diagonalised once. A person then costs the
products that the leave-one-item-out errors of all {found["heads"]} heads need, and people with the same items
share them. Whoever left items out (a job holds 30 out, others for everybody) costs one small Cholesky factor
for each head more. This is the fit alone: a job goes on to choose a strength and to prove it, which reads the
model many times (about half a minute).

Compared before anything was timed, {agreed["people"]} people: fitted together, alone, and by regressions anew
the same heads are chosen, and vectors differ by at most {apart:.1e} of their size. PAlign's logistic probes
choose {agreed["heads_shared_with_palign"]:.0%} of the same 24 heads; where both choose a head, the cosine of
the two directions is {agreed["cosine_with_palign_on_shared_heads"]:.2f} (ours is graded and centred, see
`personalization/methods/pas.py`). What either does for held-out answers is in [papi](papi.md).

{found["repeats"]} measurements of each way, by turns (ABBA). {quietness(found["watch"])}
Machine: {found["machine"]}. Commit: {found["commit"]}.
"""
