"""The overview: what is the matter now, and each number over an hour, a day or a month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp import charts
from alignapp.adapters.models import Artifact, Job
from alignapp.panel import measures
from alignapp.panel.measures import FIRST_TOKEN, quantile
from alignapp.panel.models import Measure, Worker
from workers import queues

WHOLE = charts.plain()
Reading = Callable[[Measure], float | None]


@dataclass(frozen=True, slots=True)
class Span:
    """How far back a trend goes, from which rows, and what its x axis counts."""

    name: str
    label: str | Promise
    period: str
    length: timedelta
    x_name: str | Promise
    unit: str | Promise


SPANS = [
    Span(
        "hour",
        gettext_lazy("an hour"),
        Measure.Period.MINUTE,
        timedelta(hours=1),
        gettext_lazy("Minutes"),
        gettext_lazy("min"),
    ),
    Span(
        "day",
        gettext_lazy("a day"),
        Measure.Period.HOUR,
        timedelta(days=1),
        gettext_lazy("Hours"),
        gettext_lazy("h"),
    ),
    Span(
        "month",
        gettext_lazy("a month"),
        Measure.Period.DAY,
        timedelta(days=31),
        gettext_lazy("Days"),
        gettext_lazy("d"),
    ),
]


def _rate(row: Measure) -> float:
    return row.mean / 60


def _p95(row: Measure) -> float | None:
    found = quantile(row.histogram, 0.95)
    return None if found is None else found / 1000


def _level(row: Measure) -> float:
    return row.mean


def _count(row: Measure) -> float:
    return row.total


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: its rows' name, how to read a row, and how to write the number."""

    name: str
    title: str | Promise
    reading: Reading = _level
    number: charts.Number = WHOLE


GROUPS: list[tuple[str | Promise, list[Figure]]] = [
    (
        gettext_lazy("Serving"),
        [
            Figure("replies", gettext_lazy("Answers a second"), _rate, charts.plain(2)),
            Figure("tokens", gettext_lazy("Tokens a second"), _rate, charts.plain(1)),
            Figure(FIRST_TOKEN, gettext_lazy("First token, p95, s"), _p95, charts.plain(2)),
            Figure("replies_waiting", gettext_lazy("Answers that wait")),
            Figure("resident", gettext_lazy("Artifacts in workers' memory")),
        ],
    ),
    (
        gettext_lazy("Learning"),
        [
            Figure("jobs_queued", gettext_lazy("Jobs that wait")),
            Figure("jobs_running", gettext_lazy("Jobs that run")),
            Figure("oldest_job_seconds", gettext_lazy("Oldest waiting job, s")),
            Figure("jobs_ended_done", gettext_lazy("Jobs done"), _count),
            Figure("jobs_ended_dead", gettext_lazy("Jobs failed"), _count),
            Figure("gate_failures", gettext_lazy("Refused by the safety gate"), _count),
        ],
    ),
    (
        gettext_lazy("People and artifacts"),
        [
            Figure("people", gettext_lazy("People")),
            Figure("people_aligned", gettext_lazy("People aligned")),
            Figure("artifacts_proven", gettext_lazy("Proven artifacts")),
            Figure("artifacts_candidate", gettext_lazy("Artifacts not yet proven")),
            Figure("artifacts_not_proven", gettext_lazy("Artifacts that were not proven")),
            Figure("artifacts_quarantined", gettext_lazy("Quarantined artifacts")),
            Figure("artifacts_expired", gettext_lazy("Expired artifacts")),
            Figure(measures.DAMAGED, gettext_lazy("Damaged artifacts")),
        ],
    ),
    (
        gettext_lazy("Machines"),
        [
            Figure("workers", gettext_lazy("Workers alive")),
            Figure("queue_train", gettext_lazy("Messages for training")),
            Figure("queue_evaluate", gettext_lazy("Messages for proving and checks")),
            Figure("queue_generate", gettext_lazy("Messages for generation")),
            Figure("queue_housekeeping", gettext_lazy("Messages for housekeeping")),
            Figure(f"queue_{queues.OTHER_BASE}", gettext_lazy("Messages for another base model")),
            Figure("disk_used_percent", gettext_lazy("Disk used, %"), _level, charts.plain(1)),
        ],
    ),
]


def overview_page(over: str) -> dict[str, Any]:
    """Return the context of the overview. Five queries, however much there is."""
    now = timezone.now()
    span = next((each for each in SPANS if each.name == over), SPANS[0])
    rows: dict[str, list[Measure]] = defaultdict(list)
    for row in Measure.objects.filter(period=span.period, at__gte=now - span.length).order_by("at"):
        rows[row.name].append(row)
    begin = min((of[0].at for of in rows.values()), default=now)
    groups = [
        (title, [c for f in figures if (c := _curve(f, rows[f.name], span, begin, now))])
        for title, figures in GROUPS
    ]
    workers = list(Worker.objects.all()[:100])
    return {
        "spans": SPANS,
        "span": span,
        "groups": [(title, curves) for title, curves in groups if curves],
        "jobs": jobs_by_state(),
        "damaged": Artifact.objects.damaged().count(),
        "workers": workers,
        "missing": queues_without_worker(workers),
        "now": now,
    }


def figures(over: str, trend_of: Sequence[str] = ()) -> dict[str, Any]:
    """Return every number for programs and terminals, and how it was over a span of SPANS.

    `trend_of` names the numbers whose past is wanted; without it the past of all is told.
    """
    now = timezone.now()
    span = next(each for each in SPANS if each.name == over)
    trend: dict[str, list[dict[str, Any]]] = defaultdict(list, {name: [] for name in trend_of})
    rows = Measure.objects.filter(period=span.period, at__gte=now - span.length)
    for row in (rows.filter(name__in=trend_of) if trend_of else rows).order_by("at"):
        trend[row.name].append({"at": row.at, "mean": row.mean, "total": row.total, "most": row.most})
    totals = measures.totals()
    first = totals.get(FIRST_TOKEN)
    p95 = quantile(first.histogram, 0.95) if first else None
    return {
        "at": now,
        "levels": measures.levels(now),
        "totals": {name: totals[name].total for name in measures.COUNTED if name in totals},
        "first_token_p95_seconds": None if p95 is None else p95 / 1000,
        "jobs": jobs_by_state(),
        "queues_without_worker": queues_without_worker(list(Worker.alive())),
        "trend": trend,
    }


def _curve(
    figure: Figure, rows: list[Measure], span: Span, begin: datetime, now: datetime
) -> charts.Curve | None:
    length = Measure.LENGTH[Measure.Period(span.period)]
    read = [((row.at - now) / length, figure.reading(row)) for row in rows]
    points = [(round(x), y) for x, y in read if y is not None]
    x_name = _("%(periods)s from now") % {"periods": span.x_name}
    scale = _from_zero([y for _x, y in points], figure.number)
    # A period without a row was not measured: a line over it would say what nobody knows.
    return charts.curve(
        str(figure.title),
        points,
        scale=scale,
        number=figure.number,
        x_name=x_name,
        x_unit=str(span.unit),
        apart=1,
        since=round((begin - now) / length),
        until=-1,  # the period that goes on now has no row yet
    )


def _from_zero(values: list[float], number: charts.Number) -> charts.Scale:
    """Return a scale from 0 whose three ticks are whole numbers where the values are."""
    most = max(values, default=0.0)
    if number is WHOLE:
        return charts.whole(most, ticks=3)
    return charts.Scale(0, most * 1.1 or 1.0, ticks=3, number=number)


def jobs_by_state() -> list[dict[str, Any]]:
    """Return open jobs and those that failed, with the age of the oldest."""
    shown = (Job.State.QUEUED, Job.State.RUNNING, Job.State.DEAD)
    found = Job.objects.filter(state__in=shown).order_by().values("state")
    by_state = {row["state"]: row for row in found.annotate(count=Count("pk"), oldest=Min("created_at"))}
    return [
        {"state": state, "label": state.label, **by_state.get(state, {"count": 0, "oldest": None})}
        for state in shown
    ]


def queues_without_worker(workers: list[Worker]) -> list[str]:
    """Return the queues that no living worker takes anything from."""
    taken = {queue for worker in workers if worker.is_alive for queue in worker.queues}
    return [name for name in queues.ALL if name not in taken and name != queues.OTHER_BASE]
