"""The metrics that a card compares, asked together: p values corrected by Holm.

Knows nothing of rows. The p values follow from the stored intervals (`personalization.statistics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.adapters.kinds import stored
from alignapp.charts import Number, interval_words, p_words, percent, plain, signed
from personalization.statistics import holm, p_value, share_p_value

SIGNIFICANT = 0.05


def points(share: float) -> str:
    """Write a change of a share."""
    return _("%(n)s points") % {"n": signed(0)(100 * share)}


@dataclass(frozen=True, slots=True)
class Asked:
    """A stored number, what it would be without any effect, and which way is better (1 up, -1 down)."""

    name: Any
    path: tuple[str, ...]
    number: Number
    better: int = 1
    null: float = 0.0


ASKED = (
    Asked(
        gettext_lazy("Prefers the better-liked answer, against a coin"),
        ("accuracy", "artifact"),
        percent,
        null=0.5,
    ),
    Asked(gettext_lazy("Against the base model"), ("difference",), points),
    Asked(
        gettext_lazy("Brier score, against a coin"),
        ("calibration", "artifact", "brier"),
        plain(3),
        better=-1,
        null=0.25,
    ),
    Asked(gettext_lazy("Stays with the question"), ("writing", "relevance_change"), signed(2)),
    Asked(gettext_lazy("Repeats itself"), ("writing", "repetition_change"), signed(2), better=-1),
)
# A personality artifact's difference is one of errors: less is better.
ERROR = Asked(gettext_lazy("Error, against the base model"), ("difference",), signed(2), better=-1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric; `holds` is 1 better, -1 worse, 0 undecided after the correction."""

    name: str
    words: str
    interval: str
    p: str
    holds: int


def findings(results: Mapping[str, Any]) -> list[Finding]:
    """Return every metric that was compared; empty where there are fewer than two to ask together."""
    asked = [ERROR if "error" in results and one.path == ERROR.path else one for one in ASKED]
    found = {one.path: (one, value) for one in asked if (value := stored(results, *one.path)) is not None}
    if len(found) < 2:
        return []
    raw = {
        "/".join(path): share_p_value(value) if one.null == 0.5 else p_value(value, one.null)
        for path, (one, value) in found.items()
    }
    adjusted = holm(raw)
    rows = []
    for path, (one, value) in found.items():
        p = adjusted["/".join(path)]
        direction = one.better if value.value > one.null else -one.better
        ends = interval_words(value.low, value.high, one.number)
        holds = direction if p < SIGNIFICANT else 0
        rows.append(Finding(str(one.name), one.number(value.value), ends, p_words(p), holds))
    return rows
