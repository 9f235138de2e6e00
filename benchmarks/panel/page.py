"""The page of the panel's timings, and the same for the terminal. Knows nothing of how they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BAR_MS, BAR_QUERIES = 300, 60
ALONE = 1.6  # a load average above this says that others computed, too: the run and its database make 1.5


def misses(row: Mapping[str, Any]) -> bool:
    """Say whether a page took too long, or asked too much."""
    return bool(row["p95_ms"] > BAR_MS or row["queries"] > BAR_QUERIES)


def words(found: Mapping[str, Any]) -> str:
    """Return the table for a terminal."""
    lines = [f"{_rows(found)}; {_size(found)}, made in {found['seconds_to_make']:.0f} s"]
    for row in found["pages"]:
        if row["status"] == 200:
            lines.append(
                f"{row['page']:34} {row['queries']:3} queries  median {row['median_ms']:6.0f} ms  "
                f"p95 {row['p95_ms']:6.0f} ms{'  MISSES THE BAR' if misses(row) else ''}"
            )
        else:
            lines.append(f"{row['page']:34} answered {row['status']}")
    return "\n".join(lines)


def markdown(found: Mapping[str, Any]) -> str:
    """Return the page, the slowest first."""
    answered = [row for row in found["pages"] if row["status"] == 200]
    missed = [row for row in answered if misses(row)]
    other = [f"{row['page']} ({row['status']})" for row in found["pages"] if row["status"] != 200]
    verdict = (
        f"{len(missed)} of {len(answered)} miss a bar: {', '.join(row['page'] for row in missed)}."
        if missed
        else f"All {len(answered)} pass."
    )
    is_shared = max(found["load_before"], found["load_after"]) > ALONE
    shared = "Others computed on the machine meanwhile, so that these are upper bounds." if is_shared else ""
    table = [
        f"| {row['page']} | {row['queries']} | {row['median_ms']:.0f} ms | {row['p95_ms']:.0f} ms | "
        f"{row['most_ms']:.0f} ms | {'MISS' if misses(row) else 'PASS'} |"
        for row in answered
    ]
    return "\n".join(
        [
            "# The operators' panel at scale",
            "",
            f"`python -m benchmarks.panel --page docs/benchmarks` ({found['machine']}, "
            f"commit {found['commit']}, load average {found['load_before']:.1f} before and "
            f"{found['load_after']:.1f} after; {found['seconds_to_measure']:.0f} seconds). {shared}".rstrip(),
            "",
            f"A PostgreSQL database of {_size(found)} made for the run in {found['seconds_to_make']:.0f} "
            f"seconds, and dropped after it: {_rows(found)}. Every page of the panel and every address of "
            f"its API is asked for {found['repeats']} times, through every middleware, in one process. Bars: "
            f"the 95th percentile within {found['bar_ms']} ms, and at most {found['bar_queries']} queries.",
            "",
            f"**{verdict}**",
            "",
            "| page | queries | median | p95 | most | |",
            "|---|---|---|---|---|---|",
            *table,
            "",
            *([f"Not measured, as they answer otherwise: {', '.join(other)}.", ""] if other else []),
        ]
    )


def _size(found: Mapping[str, Any]) -> str:
    return f"{found['database_bytes'] / 2**30:.2f} GiB"


def _rows(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in found["rows"].items())
