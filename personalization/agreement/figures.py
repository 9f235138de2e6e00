"""What every figure looks like: rows with intervals, and one sentence that says what it means and what to do.

Knows nothing of pages. One shape for all of them, so that each is drawn, listed and exported the same way.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from personalization.statistics import Estimate, clustered_share, wilson

# share: 0 to 1; agreement: -1 to 1, 1 is perfect; seconds: the interval is the quartiles; count: it has none;
# points: of a rating's own scale; deviations: standard deviations from each person's own mean.
Unit = Literal["share", "agreement", "seconds", "count", "points", "deviations"]


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a figure. `flagged` asks somebody to look at it."""

    label: str
    estimate: Estimate
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One question about the answers. `chance` is what guessing would give; a figure may have no rows."""

    key: str
    title: str
    words: str
    rows: tuple[Row, ...] = ()
    unit: Unit = "share"
    chance: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready: an interval that cannot be estimated is None."""
        return {
            "key": self.key,
            "title": self.title,
            "words": self.words,
            "unit": self.unit,
            "chance": self.chance,
            "rows": [
                {"label": row.label, "flagged": row.flagged, **finite(row.estimate)} for row in self.rows
            ],
        }


def finite(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate's fields; what is not finite is None, which JSON can say."""
    return {name: value if math.isfinite(value) else None for name, value in estimate.as_dict().items()}


def share(values: Sequence[float], clusters: Sequence[Hashable]) -> Estimate:
    """Return a share with Wilson's interval, made wider where several values come from one cluster."""
    if len(set(clusters)) == len(values):
        return wilson(sum(values), len(values))
    return clustered_share(values, clusters)


def percent(estimate: Estimate) -> str:
    """Write a share with its interval."""
    return f"{100 * estimate.value:.0f} % ({100 * estimate.low:.0f} to {100 * estimate.high:.0f} %)"


def decimals(estimate: Estimate) -> str:
    """Write a coefficient with its interval."""
    if not math.isfinite(estimate.low) or not math.isfinite(estimate.high):
        return f"{estimate.value:.2f} (interval cannot be estimated)"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """Write names in a row; of many only the first few and how many there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
