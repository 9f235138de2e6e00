"""The page of training's speed, with its plots; says so where training together gains nothing."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.timing import quietness, spread

BAR, GOAL = 2.0, 4.0  # times TRL's tokens a second, for eight people together
CLAIMED = 8
NAMES = {
    "apart": "ours, one after the other",
    "trl": "TRL, reference computed once, no checkpointing",
    "trl_plain": "TRL as it comes",
}


def table(found: Mapping[str, Any]) -> str:
    """Return the ways as a Markdown table."""
    lines = [
        "| way | people | tokens/s, median (range) | people an hour | processor s, each | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for name, way in found["ways"].items():
        speeds = [way["tokens"] / seconds for seconds in way["all"]]
        used = statistics.median(way["processor_all"]) / way["people"]
        lines.append(
            f"| {_label(name)} | {way['people']} | {spread(speeds, digits=0)} | "
            f"{3600 * way['people'] / way['median']:.0f} | {used:.1f} | {way['peak_bytes'] / 2**30:.1f} GiB |"
        )
    return "\n".join(lines)


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write training.md, .json and two plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training.json").write_text(json.dumps(found, indent=1) + "\n")
    speeds = {_label(name): speed(way) for name, way in found["ways"].items()}
    highest = max(high for _, _, high in speeds.values())
    plots.bars(folder / "training.svg", "Tokens trained a second", speeds, low=0.0, high=highest)
    curves = found["agreement"]["losses"]
    shown = {
        name: [(loss, loss, loss) for loss in curves[key]]
        for name, key in (("ours", "together"), ("TRL", "trl"))
    }
    plots.lines(
        folder / "training-loss.svg",
        "Loss of the first person, step by step",
        list(range(1, len(curves["trl"]) + 1)),
        shown,
        low=0.0,
        high=max(max(curve) for curve in curves.values()),
        x_name="step",
    )
    (folder / "training.md").write_text(_words(found))


def _label(name: str) -> str:
    return NAMES.get(name) or f"ours, {name.removeprefix('together_')} together"


def speed(way: Mapping[str, Any]) -> plots.Interval:
    """Return a way's tokens a second: the median with its range."""
    slow, fast = way["tokens"] / way["high"], way["tokens"] / way["low"]
    return way["tokens"] / way["median"], slow, fast


def claimed(ways: Mapping[str, Any]) -> str:
    """Return the way that the claim is about: eight people together, or the most that were measured."""
    counts = [int(name.removeprefix("together_")) for name in ways if name.startswith("together_")]
    return f"together_{CLAIMED if CLAIMED in counts else max(counts)}"


def _words(found: Mapping[str, Any]) -> str:
    ways, settings = found["ways"], found["settings"]
    agreed = found["agreement"]
    gaps = agreed["greatest_differences_from_trl"]
    batch, share = settings["pairs_per_batch"], settings["trained_share"]
    work = found["million_multiply_adds"]
    return f"""# How fast adapters train

Written by `python -m benchmarks.training --page docs/benchmarks`.

{_verdict(ways)}

![Tokens trained a second](training.svg)

{table(found)}

Everybody has {found["pairs"]} pairs or about as many, {settings["epochs"]} epochs, {batch} pairs a batch,
rank {settings["rank"]} on all linear layers of the upper {share:.0%} of the model, float32. A token counts
once for each time that it is trained on, prompt and answer, without padding, and a way's time is everything
from pairs to a written adapter (TRL: from token ids to a trained one). One after the other costs the same for
each person, so it is measured on fewer people. Ours stays off: teacher and replayed text; what each epoch's
gradients have in common (`training.entanglement`) is still measured, at its cost.

## What stands in the way

A trained token costs ours {work["ours"]:.0f} million multiply-adds ({work["compared"]:.0f} of them to compare
gradients after each epoch, a share that falls with more pairs), TRL {work["trl"]:.0f}
({work["trl"] / work["ours"]:.2f} times as many), TRL as it comes {work["trl_plain"]:.0f}
({work["trl_plain"] / work["ours"]:.2f} times). On a processor that is busy with arithmetic little more than
that ratio can be gained; more would need fewer trained layers or less precision, and so another adapter. What
ours leaves out: the frozen layers below the adapter are read once and not at every step, a pair's prompt is
read once for both answers, nothing is padded, and of what the head says of every word of the vocabulary only
its mean row is kept for the way back. TRL, too, computes the head for answers only.

![Loss of the first person](training-loss.svg)

Before anything was timed, losses were compared step by step: from TRL's, ours differ by at most
{max(gaps["together"], gaps["apart"]):.1e}, TRL's two ways from each other by {gaps["trl_plain"]:.1e}. People
together and alone: {agreed["together_from_alone"]:.1e}.

{found["repeats"]} measurements of each way, by turns (ABBA). {quietness(found["watch"])}
Processor seconds are those of all threads together: others' work lengthens them less than the clock's.
Machine: {found["machine"]}. Commit: {found["commit"]}.
"""


def _verdict(ways: Mapping[str, Any]) -> str:
    """Say what training together gains over TRL, and over one after the other."""
    together = claimed(ways)
    ours, alone, trl = (speed(ways[name])[0] for name in (together, "apart", "trl"))
    met = "the goal is met" if ours >= GOAL * trl else "met" if ours >= BAR * trl else "**not met**"
    gain = ours / alone
    words = (
        f"{ways[together]['people']} people together train {ours / trl:.2f} times as many tokens a second as "
        f"TRL with the reference computed once (bar {BAR:.0f} times, goal {GOAL:.0f}: {met}), and "
        f"{ours / speed(ways['trl_plain'])[0]:.2f} times as many as TRL as it comes."
    )
    if gain < 1.05:
        return (
            f"{words}\n\n**On this machine training together gains nothing over one after the other** "
            f"({gain:.2f} times): one person's batch already keeps the processor's arithmetic busy. What is "
            "faster than TRL is what is not computed at all."
        )
    return f"{words}\n\nTraining together is {gain:.2f} times as fast as one after the other."
