"""The running record of what is switched on, as its person and operators see it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alignapp.adapters.live import Live
from alignapp.charts import Bar, BarChart, Scale, bar_chart

MOST_WORDS = 1000  # evidence beyond is not written out


@dataclass(frozen=True, slots=True)
class LiveView:
    """The win rate as a chart, what follows from it, and how far the evidence is on its way to the rule's."""

    live: Live
    sentence: str
    rule: str
    percent: int  # of the way, on a logarithmic scale: 0 no evidence, 100 enough
    evidence: str
    chart: BarChart | None


def live_view(live: Live | None) -> LiveView | None:
    """Return the view; None where no learned part acts."""
    if live is None:
        return None
    far = math.log(max(live.capital, 1.0)) / math.log(live.needed)
    shown = f"{min(live.capital, MOST_WORDS):.2g}" if live.capital < MOST_WORDS else f"{MOST_WORDS}+"
    return LiveView(
        live=live,
        sentence=_sentence(live),
        rule=_rule(live),
        percent=min(100, round(100 * far)),
        evidence=_("%(shown)s of %(needed)g") % {"shown": shown, "needed": round(live.needed, 1)},
        chart=_chart(live),
    )


def _sentence(live: Live) -> str:
    n = len(live.outcomes)
    if not n:
        return _("Nothing was compared blind since %(name)s was switched on.") % {"name": live.artifact}
    words = ngettext(
        "Since %(name)s was switched on, it won %(wins)g of %(n)d blind comparison.",
        "Since %(name)s was switched on, it won %(wins)g of %(n)d blind comparisons.",
        n,
    )
    return words % {"name": live.artifact, "wins": round(sum(live.outcomes), 2), "n": n}


def _rule(live: Live) -> str:
    given: dict[str, Any] = {
        "share": f"{100 * live.rule.share:g}",
        "level": f"{100 * live.rule.level:g}",
    }
    if not live.rule.is_on:
        return _("Going back by itself is switched off by the operator; the record is kept all the same.")
    if live.artifact.pinned:
        return (
            _(
                "It is pinned by an operator: if it is shown to win less than %(share)s %% (false alarms: "
                "%(level)s %% at most), you are told, and it stays on."
            )
            % given
        )
    return (
        _(
            "If it is shown to win less than %(share)s %% (false alarms: %(level)s %% at most), the version "
            "before it comes back by itself, and you are told."
        )
        % given
    )


def _chart(live: Live) -> BarChart | None:
    if not live.outcomes:
        return None
    won = live.won
    bar = Bar(str(live.artifact), won.value, won.low, won.high, won.n)
    note = _("The line is what must be refuted; the interval holds however often one looks.")
    return bar_chart(
        _("Wins against answers without it, blind"),
        [bar],
        scale=Scale(reference=live.rule.share),
        note=note,
        interval_name=_("Interval at any look"),
    )
