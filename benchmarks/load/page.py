"""The page of the load benchmark: the bars, and how pages, first texts and the queue went over time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import plots

BUCKETS = 9  # of the time, in the plots
SPREADS = {
    "pages": "page",
    "send": "sending a message",
    "feedback": "rating or picking",
    "first": "first text, all light ones",
    "light_before": "first text, light ones alone",
    "light_beside": "first text, light ones beside the heavy one",
    "heavy": "first text, the heavy one",
    "reply": "whole answers, light ones",
    "heavy_reply": "whole answers, the heavy one",
}


def write_page(folder: Path, found: Mapping[str, Any]) -> None:
    """Write load.md with load.json and three plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "load.json").write_text(json.dumps(found, indent=1) + "\n")
    pages = {
        name: (1000 * each["p50"], 1000 * each["p50"], 1000 * each["p95"])
        for name, each in found["figures"]["each_page"].items()
    }
    most = max((high for _, _, high in pages.values()), default=1.0)
    title = "Pages: median and 95th percentile, ms"
    plots.bars(folder / "load-pages.svg", title, pages, low=0.0, high=max(most, 200.0))
    _over_time(
        folder / "load-first.svg",
        "Until the first text, s: median, and from the least to the 95th percentile",
        {
            "light": [(at, s) for at, s, role in found["first"] if role != "heavy"],
            "heavy": [(at, s) for at, s, role in found["first"] if role == "heavy"],
        },
        found,
    )
    named = {"waiting": "queued", "of one person": "queued_of_one", "being written": "running"}
    _over_time(
        folder / "load-queue.svg",
        "Replies that wait and that are being written: median, and from the least to the 95th percentile",
        {name: [(s["at"], s[key]) for s in found["samples"]] for name, key in named.items()},
        found,
    )
    (folder / "load.md").write_text(_page(found))


def _over_time(
    file: Path, title: str, series: Mapping[str, Sequence[tuple[float, float]]], found: Mapping[str, Any]
) -> None:
    width = found["seconds"] / BUCKETS
    middles = [round((i + 0.5) * width) for i in range(BUCKETS)]
    curves: dict[str, list[plots.Interval | None]] = {
        name: [
            _interval(value for at, value in points if i * width <= at < (i + 1) * width)
            for i in range(BUCKETS)
        ]
        for name, points in series.items()
    }
    most = max((point[2] for curve in curves.values() for point in curve if point), default=1.0)
    plots.lines(
        file, title, middles, curves, low=0.0, high=max(most, 1.0), x_name="seconds since the people came",
        mark=(found["heavy_after"], "the heavy one begins"),
    )  # fmt: skip


def _interval(values: Iterable[float]) -> plots.Interval | None:
    known = list(values)
    if not known:
        return None
    middle, high = np.quantile(known, [0.5, 0.95])
    return float(middle), float(min(known)), float(high)


def words(found: Mapping[str, Any]) -> str:
    """Return the bars and the figures for a terminal, and what was not as it should be."""
    lines = [f"{b['verdict']:7} {b['what']}: {b['measured']} (bar: {b['bar']})" for b in found["bars"]]
    lines += ["", *(f"{name:45} {shown}" for name, shown in _spreads(found)), "", _idle(found)]
    wrong = [f"{e['name']} {e['status']}: {e['detail']}" for e in found["figures"]["errors"]]
    return "\n".join([*lines, *wrong[:20], *found["checked"]["faults"][:20]])


def _spreads(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    figures = found["figures"]
    shown = {name: figures[key] for key, name in SPREADS.items()}
    shown |= {f"wait for a worker, {whose}": each for whose, each in figures["waits"].items()}
    return [
        (name, f"{each['p50']:.3f} s, {each['p95']:.3f} s ({each['n']})")
        for name, each in shown.items()
        if each["n"]
    ]


def _idle(found: Mapping[str, Any]) -> str:
    load = f"load average {found['load_average_before']:.2f} before it began"
    if found["was_idle"]:
        return f"The machine was idle ({load})."
    return f"**The machine was not idle** ({load}): figures are more pessimistic than they would be."


def _page(found: Mapping[str, Any]) -> str:
    bars = "\n".join(
        f"| {b['what']} | {b['bar']} | {b['measured']} | {b['verdict']} |" for b in found["bars"]
    )
    spreads = "\n".join(f"| {name} | {shown} |" for name, shown in _spreads(found))
    checked, limited = found["checked"], found["figures"]["limited"]
    replies, jobs, queue = checked["replies"], checked["jobs"], found["queue"]
    return f"""# Under load: fifty people while adapters are trained

`make load` ({found["machine"]}, commit {found["commit"]}): {found["people"]} people for {found["seconds"]} s
through one web process, with PostgreSQL and Redis, two generation and two training workers, locust and all
of it on this one machine. Answers have at most {found["answer_tokens"]} tokens; every worker computes with
one thread. Four of five look at pages, ask, read answers as they are written, rate and pick, with 4 to 12 s
between two acts; one of five is a program that asks every 15 to 45 s. One program asks as fast as it is
allowed to, from {found["heavy_after"]:.0f} s on. Nothing is taken out of the measurements.

{_idle(found)}

| what | bar | measured | |
|---|---|---|---|
{bars}

Refused with 429 and the seconds to wait, which is an answer: the heavy one {limited["heavy"]} times, light
programs {limited["program"]}, people {limited["person"]}.

| seconds | median, 95th percentile (how many) |
|---|---|
{spreads}

![Pages](load-pages.svg)
![First text](load-first.svg)
![Queue](load-queue.svg)

## Two hosts, one queue

Two sets of workers, each with its own folder, model cache and engine, and the database, broker and artifact
store in common. Replies written by each: {_by_host(replies)}; adapters made by each: {_by_host(jobs)}. The
workers' logs name {replies["written"]} written replies, {replies["twice"]} of them twice.

- Of {replies["done"]} complete replies in the database {replies["other_text_than_streamed"]} have another
  text than was streamed.
- Jobs: {_states(jobs["states"])}; {jobs["twice"]} made twice, {jobs["tried_again"]} tried again.
- Of {checked["turns"]["told"]} messages and {checked["feedback"]["told"]} acts of feedback of which people
  were told that they are kept, {checked["turns"]["lost"] + checked["feedback"]["lost"]} are missing.
- At most {queue["queued"]} replies waited ({queue["samples"]} samples), {queue["queued_of_one"]} of one
  person; the bounds are {queue["bound"]} and {queue["bound_of_one"]}.
- Highest load average: {queue["load_average"]:.1f}.
"""


def _by_host(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} by {host}" for host, n in found["by_host"].items())


def _states(states: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "none"
