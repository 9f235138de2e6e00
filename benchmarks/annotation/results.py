"""From the annotators' measurements to figures and bars. Knows nothing of how they came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.load.results import Bar, as_json, spread

NEXT_SECONDS = 0.2  # from Submit until the next item is there, at the 95th percentile
PHASES = ("paced", "flat out")
ACTS = ("submit", "wait", "next", "page", "draft")

Rows = Sequence[Mapping[str, Any]]


def figures(rows: Rows) -> dict[str, Any]:
    """Return for each phase the spread of each act in seconds, and how many submissions came each second."""
    found: dict[str, Any] = {}
    for phase in PHASES:
        of_phase = [row for row in rows if row.get("phase") == phase]
        spreads = {act: spread(row["seconds"] for row in of_phase if row["what"] == act) for act in ACTS}
        ends = [row["at"] for row in of_phase if row["what"] == "submit"]
        lasted = max(ends) - min(ends) if len(ends) > 1 else 0.0
        rate = (len(ends) - 1) / lasted if lasted else 0.0
        found[phase] = {"acts": spreads, "seconds": lasted, "a_second": rate}
    return found


def bars(found: Mapping[str, Any], checked: Mapping[str, Any], errors: int) -> list[dict[str, Any]]:
    """Return what was asked for beside what was measured."""
    paced, flat = (found[phase] for phase in PHASES)
    wait, submit = paced["acts"]["wait"], paced["acts"]["submit"]
    kept = (
        ("submissions lost", "lost"),
        ("submissions or assignments doubled", "doubled"),
        ("items judged by too many", "over_assigned"),
        ("items with a wrong count", "miscounted"),
        ("items judged by too few at the end", "under_assigned"),
    )
    counted = [Bar(what, "0", str(checked[key]), not checked[key]) for what, key in kept]
    return as_json(
        [
            Bar("next item after Submit, p95", "200 ms", _ms(wait["p95"]), wait["p95"] <= NEXT_SECONDS),
            Bar("submit, p95", "-", _ms(submit["p95"]), None),
            Bar("submissions a second, flat out", "-", f"{flat['a_second']:.1f}", None),
            *counted,
            Bar("answers that were errors", "0", str(errors), errors == 0),
        ]
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
