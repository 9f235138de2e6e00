"""When it pays to train: what `benchmarks.people` measured, beside the person's own number of ratings.

`gains.json` is written by that benchmark (`--ship`): simulated people, the embedded model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alignapp.adapters.together import points
from alignapp.charts import Bar, BarChart, Scale, bar_chart, interval_words

FILE = Path(__file__).with_name("gains.json")
ARMS = {
    "vector": gettext_lazy("Vector of every rating"),
    "adapter": gettext_lazy("Adapter"),
    "both": gettext_lazy("Adapter with the vector beside it"),
}


@dataclass(frozen=True, slots=True)
class Gains:
    """The sentence for a person with so many rated messages, the chart, and what was measured on what."""

    sentence: str
    chart: BarChart
    source: str


@cache
def measured() -> Mapping[str, Any] | None:
    """Return the benchmark's figures; None before they were ever shipped."""
    return json.loads(FILE.read_text()) if FILE.exists() else None


def gains(rated: int, found: Mapping[str, Any] | None = None) -> Gains | None:
    """Return when it pays for somebody with `rated` messages whose answers were rated differently."""
    found = found or measured()
    if not found or not found["pays"]:
        return None
    rows = sorted(found["pays"], key=lambda row: row["prompts"])
    bars = [
        Bar(
            f"{_rated(row['prompts'])}: {ARMS[row['arm']]}",
            row["win_rate"],
            row["low"],
            row["high"],
            row["n"],
        )
        for row in sorted(found["grid"], key=lambda row: (row["prompts"], list(ARMS).index(row["arm"])))
    ]
    note = _("The line is a coin: no better than the base model.")
    source = _("Measured on %(people)d simulated people with %(model)s, not on you.") % found
    chart = bar_chart(
        _("Fresh answers that win against the base model"), bars, scale=Scale(reference=0.5), note=note
    )
    return Gains(_sentence(rated, rows), chart, source)


def _sentence(rated: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """Compare with the measured amount that is nearest from below; with fewer ratings, with the smallest."""
    row = next((row for row in reversed(rows) if row["prompts"] <= rated), rows[0])
    more = row["adapter"]
    given = {
        "rated": _rated(row["prompts"]),
        "gain": points(more["value"]),
        "ends": interval_words(more["low"], more["high"], points),
        "minutes": max(1, round(row["seconds"] / 60)),
    }
    if rated < row["prompts"]:
        return _("Too early to tell: the smallest amount that was measured is %(rated)s.") % given
    if more["low"] > 0:
        words = ngettext(
            "With %(rated)s training pays: an adapter won %(gain)s more often than the vector that follows "
            "your ratings anyway (interval %(ends)s), for %(minutes)d minute of learning.",
            "With %(rated)s training pays: an adapter won %(gain)s more often than the vector that follows "
            "your ratings anyway (interval %(ends)s), for %(minutes)d minutes of learning.",
            given["minutes"],
        )
        return words % given
    if more["high"] < 0:
        words = _(
            "With %(rated)s training does not pay yet: the vector that follows your ratings anyway won more "
            "often than an adapter (difference %(gain)s, interval %(ends)s)."
        )
        return words % given
    words = _(
        "With %(rated)s an adapter is not clearly ahead of the vector that follows your ratings anyway "
        "(difference %(gain)s, interval %(ends)s). It costs ordinary text less."
    )
    return words % given


def _rated(count: int) -> str:
    return ngettext("%(n)d rated message", "%(n)d rated messages", count) % {"n": count}
