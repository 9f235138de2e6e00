"""The page of the exchange benchmark: seconds and memory of each act, and whether the size matters to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots

FLAT = 1.15  # times the peak of a tenth of the rows: what a database's own caches may add
WORDS = {"read": "read only", "import": "import", "export": "export"}


def write_page(folder: Path, found: Mapping[str, Any]) -> None:
    """Write exchange.md, .json and .svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exchange.json").write_text(json.dumps(found, indent=1) + "\n")
    rows = {
        f"{row['database']}, {WORDS[row['act']]}, {row['rows']:,}": (row["peak_mib"],) * 3
        for row in found["measured"]
    }
    most = max(high for _, _, high in rows.values())
    plots.bars(folder / "exchange.svg", "Peak memory of the process, MiB", rows, low=0.0, high=1.1 * most)
    (folder / "exchange.md").write_text(_page(found))


def growth(measured: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the peak memory of each act with the largest file, as a multiple of that with the smallest."""
    found: dict[str, float] = {}
    for row in measured:
        same = [one for one in measured if (one["database"], one["act"]) == (row["database"], row["act"])]
        least, most = (pick(same, key=lambda one: one["rows"]) for pick in (min, max))
        found[f"{row['database']}, {WORDS[row['act']]}"] = most["peak_mib"] / least["peak_mib"]
    return found


def verdict(found: Mapping[str, Any]) -> str:
    """Return the first sentence: whether ten times the rows take more memory."""
    ratios = growth(found["measured"])
    worst = max(ratios, key=lambda name: ratios[name])
    said = "does not grow" if ratios[worst] <= FLAT else "GROWS"
    return (
        f"Memory {said} with the file: ten times the rows take {ratios[worst]:.2f} times the memory at most "
        f"({worst})."
    )


def _page(found: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {one['database']} | {WORDS[one['act']]} | {one['rows']:,} | {one['seconds']:.1f} | "
        f"{one['rows'] / one['seconds']:,.0f} | {one['peak_mib']:.0f} | {one['idle_mib']:.0f} | "
        f"{one['load_average']:.1f} |"
        for one in found["measured"]
    )
    most = max(one["rows"] for one in found["measured"])
    where = f"{found['machine']}, commit {found['commit']}"
    return f"""# Data in and out: {most:,} rows

{verdict(found)}

`python -m benchmarks.exchange --rows {most} --postgres URL --page docs/benchmarks` ({where}).
Each row is a judged pair in TRL's format with one of fifty people, about 500 bytes; in the database it is an
item, two answers, an assignment, a submission and an act. Each act is a process of its own, at a tenth of the
rows and at all of them, from an empty database on: *read only* is the library without a database, *import*
what a worker does, *export* the zip for training.

| database | act | rows | seconds | rows a second | peak MiB | MiB before it began | load |
|---|---|---|---|---|---|---|---|
{rows}

![Memory](exchange.svg)

An export also says how far people agree, on a random sample of at most 5,000 items: that is most of its
memory.

The load is the machine's average over the last minute of each act: above 1 other programs ran beside, and the
seconds are more than they would be alone; the memory is not touched by that.{_million(found)}
"""


def _million(found: Mapping[str, Any]) -> str:
    """Return what a million rows would take where they were not measured; nothing where they were."""
    largest = {(one["database"], one["act"]): one for one in found["measured"]}
    said = [
        f"{1_000_000 / one['rows'] * one['seconds'] / 60:.0f} minutes to {act} with {database}"
        for (database, act), one in largest.items()
        if act != "read" and one["rows"] < 1_000_000
    ]
    if not said:
        return ""
    return f" At these speeds a million rows would take {', '.join(said)} (not measured)."
