"""What a report card says in one sentence, computed from the stored numbers and never from its verdict.

Knows nothing of rows or pages. How many comparisons would tell follows `more_comparisons`: 95 % confidence,
80 % power, the observed share taken as true.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from personalization.statistics import Estimate, more_comparisons


def headline(results: Mapping[str, Any]) -> str:
    """Return the sentence; empty when the results hold no comparison and no error to speak of."""
    own = estimate((results.get("accuracy") or {}).get("artifact"))
    if own is not None and own.n:
        return _won(own, results)
    change = estimate(results.get("difference"))
    return _nearer(change) if change is not None and "error" in results else ""


def estimate(found: Mapping[str, Any] | None) -> Estimate | None:
    """Return a stored number; an end that could not be estimated is infinite."""
    if not found or found.get("value") is None:
        return None
    low, high = found.get("low"), found.get("high")
    return Estimate(
        float(found["value"]),
        int(found.get("n") or 0),
        -math.inf if low is None else float(low),
        math.inf if high is None else float(high),
    )


def _won(own: Estimate, results: Mapping[str, Any]) -> str:
    count: dict[str, Any] = {"wins": _count(own.value * own.n), "n": own.n}
    if not (math.isfinite(own.low) and math.isfinite(own.high)):
        return (
            _("Not proven: it wins %(wins)s of %(n)d new comparisons; more conversations are needed.") % count
        )
    count |= {"low": round(100 * max(0.0, own.low)), "high": round(100 * min(1.0, own.high))}
    if own.low > 0.5:
        return _("Your alignment wins %(wins)s of %(n)d new comparisons (%(low)d to %(high)d %%).") % count
    if own.high < 0.5:
        return (
            _("It wins only %(wins)s of %(n)d new comparisons (%(low)d to %(high)d %%): worse than a coin.")
            % count
        )
    said = _("Not proven: it wins %(wins)s of %(n)d new comparisons (%(low)d to %(high)d %%).") % count
    return f"{said} {_would_tell(own, results)}"


def _would_tell(own: Estimate, results: Mapping[str, Any]) -> str:
    more = more_comparisons(own)
    if more is None or own.value <= 0.5:
        return _("So near to a coin, no feasible number of ratings would tell.")
    conversations = math.ceil(more * (results.get("n_conversations") or own.n) / own.n)
    return ngettext(
        "About %(more)d more new comparison (%(talks)d rated conversations) would tell.",
        "About %(more)d more new comparisons (%(talks)d rated conversations) would tell.",
        more,
    ) % {"more": more, "talks": conversations}


def _nearer(change: Estimate) -> str:
    if not (math.isfinite(change.low) and math.isfinite(change.high)):
        return _("Not proven: the change of the error cannot be estimated yet.")
    near = {"by": f"{abs(change.value):.2f}"}
    if change.high < 0:
        near |= {"low": f"{-change.high:.2f}", "high": f"{-change.low:.2f}"}
        return (
            _("With it, answers are %(by)s steps (%(low)s to %(high)s) nearer to yours than the base's.")
            % near
        )
    if change.low > 0:
        near |= {"low": f"{change.low:.2f}", "high": f"{change.high:.2f}"}
        return (
            _("With it, answers are %(by)s steps (%(low)s to %(high)s) further from yours than the base's.")
            % near
        )
    return _("Not proven: it is not clearly nearer to your own answers than the base model is.")


def _count(wins: float) -> str:
    """Write a number of wins; a tie counts as a half."""
    return f"{wins:.0f}" if abs(wins - round(wins)) < 0.05 else f"{wins:.1f}"
