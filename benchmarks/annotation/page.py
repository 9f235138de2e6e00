"""The page of the annotation benchmark: bars, waits, what was counted, and keys beside other tools."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots

ACTS = {
    "wait": "from Submit until the next item is there",
    "submit": "submit",
    "next": "claim of the next item (ahead)",
    "page": "claim and page of the next item (ahead)",
    "draft": "saving a draft",
}
# Presses for a pair and for four ratings by the keys that each tool's documentation lists, counted by hand.
ANCHORS = (
    ("Argilla", "2: a digit, Enter", "8: a digit each, Down between them, Enter"),
    ("Prodigy (`choice`)", "2: a digit, `a`", "8: four tasks of two"),
    ("Potato (pairwise)", "2: `1`, `2` or `0`, and its Next button", "no keys listed"),
    ("Label Studio", "a click, Ctrl+Enter", "four clicks, Ctrl+Enter"),
)


def write_page(folder: Path, found: Mapping[str, Any]) -> None:
    """Write annotation.md, .json and .svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotation.json").write_text(json.dumps(found, indent=1) + "\n")
    rows = {
        f"{act}, {phase}": (1000 * each["p50"], 1000 * each["p50"], 1000 * each["p95"])
        for phase, of_phase in found["figures"].items()
        for act, each in of_phase["acts"].items()
        if each["n"]
    }
    most = max((high for _, _, high in rows.values()), default=1.0)
    title = "Milliseconds: median, and whisker to the 95th percentile"
    plots.bars(folder / "annotation.svg", title, rows, low=0.0, high=max(most, 250.0))
    (folder / "annotation.md").write_text(_page(found))


def words(found: Mapping[str, Any]) -> str:
    """Return the bars and the figures for a terminal, and what was not as it should be."""
    lines = [f"{b['verdict']:7} {b['what']}: {b['measured']} (bar: {b['bar']})" for b in found["bars"]]
    lines += ["", *(f"{act}: {ms} ({n})" for act, ms, n in _spreads(found)), *_pressed(found)]
    return "\n".join([*lines, *found["errors"]])


def _spreads(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (
            f"{ACTS[act]}, {phase}",
            ", ".join(f"{1000 * each[key]:.0f} ms" for key in ("p50", "p95", "most")),
            f"{each['n']:,}",
        )
        for phase, of_phase in found["figures"].items()
        for act, each in of_phase["acts"].items()
        if each["n"]
    ]


def _pressed(found: Mapping[str, Any]) -> list[str]:
    names = {"pair": "a pair", "four": "four ratings"}
    return [
        f"{names[task]}: {each['keys']:.0f} presses; the next item is there after "
        f"{1000 * statistics.median(each['seconds']):.0f} ms (median of {len(each['seconds'])}), at most "
        f"{1000 * max(each['seconds']):.0f} ms"
        for task, each in (found["hand"] or {}).items()
    ]


def _ours(hand: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Return the row of our own presses; none where nobody pressed."""
    if not hand:
        return []
    pair, four = (f"{hand[task]['keys']:.0f}" for task in ("pair", "four"))
    return [("alignapp (pressed here)", f"{pair}: `1`, Ctrl+Enter", f"{four}: four digits, Ctrl+Enter")]


def _page(found: Mapping[str, Any]) -> str:
    bars = "\n".join(
        f"| {b['what']} | {b['bar']} | {b['measured']} | {b['verdict']} |" for b in found["bars"]
    )
    spreads = "\n".join(f"| {act} | {ms} | {n} |" for act, ms, n in _spreads(found))
    checked, figures = found["checked"], found["figures"]
    anchors = "\n".join(f"| {' | '.join(row)} |" for row in (*_ours(found["hand"]), *ANCHORS))
    pressed = "\n".join(f"- {line}." for line in _pressed(found)) or "- No Chromium here: not measured."
    return f"""# Annotation: twenty people at once, and nothing lost

`python -m benchmarks.annotation --page docs/benchmarks` ({found["machine"]}, commit {found["commit"]},
{found["total_seconds"]:.0f} seconds, load average {found["load_average_before"]:.2f} before it began):
{found["people"]} scripted annotators over HTTP, one web process, PostgreSQL and Redis, all on this machine.
Each item is a pair, picked and rated on one page, wanted by three people; gold items and hidden repeats stand
among them.

| what | bar | measured | |
|---|---|---|---|
{bars}

For {found["paced_seconds"]:.0f} s everybody thinks for three to seven seconds before an answer (reading
takes half a minute) and saves a draft meanwhile: {figures["paced"]["a_second"]:.1f} submissions a second.
Then all answer as fast as they are served until nothing is left: {figures["flat out"]["a_second"]:.1f} a
second, which is what one web process of this machine can do. The next item is claimed and fetched while one
is judged, as the page's script does; from Submit on, a person waits for the submission and for what is left
of that.

| | median, 95th percentile, most | how many |
|---|---|---|
{spreads}

![Waits](annotation.svg)

## What the database says afterwards

{checked["told"]:,} submissions were acknowledged: {checked["lost"]} are missing or hold something else
than was sent; {checked["doubled"]} are there twice, or an item is twice in one person's hands.

Of {checked["items"]} items ({checked["wanted"]:,} places) {checked["over_assigned"]} are judged by more
people than they are wanted by, {checked["under_assigned"]} by fewer, and {checked["miscounted"]} have a
wrong count.

Among {checked["judged"]:,} judgements are {checked["repeats"]} hidden repeats and {checked["gold"]} of gold
items; {checked["skipped"]} were skipped and given to somebody else. Three of a hundred were sent twice at the
same moment, five of a hundred were changed afterwards: {checked["versions"]:,} versions in all, of which one
each counts.

## Keys

| | a pair | four ratings |
|---|---|---|
{anchors}

The other tools' presses are counted from the keys that their documentation lists, not pressed. In Chromium
here, from the last press on, with nobody else on the server:

{pressed}
"""
