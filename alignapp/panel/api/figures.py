"""How everything is and was, and which workers live."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Literal

from django.utils import timezone
from ninja import Query, Router

from alignapp.panel import measures
from alignapp.panel.api import shapes
from alignapp.panel.api.answers import responses
from alignapp.panel.api.auth import READ, TokenRequest
from alignapp.panel.facts import worker_facts
from alignapp.panel.models import Measure, Worker
from alignapp.panel.pages.overview import SPANS, jobs_by_state, queues_without_worker

router = Router(auth=READ, tags=["figures"])


@router.get("/overview", response=responses(shapes.Overview))
def overview(
    request: TokenRequest,  # noqa: ARG001 - ninja passes it
    over: Literal["hour", "day", "month"] = "hour",
    trend_of: Query[list[str]] = [],  # noqa: B006 - ninja reads it, nobody changes it
) -> dict[str, Any]:
    """Tell every number, and how it was: an hour by the minute, a day by hours or a month by days.

    `trend_of` names the numbers whose past is wanted; without it the past of all is told.
    """
    now = timezone.now()
    span = next(each for each in SPANS if each.name == over)
    trend: dict[str, list[dict[str, Any]]] = defaultdict(list, {name: [] for name in trend_of})
    rows = Measure.objects.filter(period=span.period, at__gte=now - span.length)
    for row in (rows.filter(name__in=trend_of) if trend_of else rows).order_by("at"):
        trend[row.name].append({"at": row.at, "mean": row.mean, "total": row.total, "most": row.most})
    totals = measures.totals()
    first = totals.get(measures.FIRST_TOKEN)
    p95 = measures.quantile(first.histogram, 0.95) if first else None
    return {
        "at": now,
        "levels": measures.levels(now),
        "totals": {name: totals[name].total for name in measures.COUNTED if name in totals},
        "first_token_p95_seconds": None if p95 is None else p95 / 1000,
        "jobs": jobs_by_state(),
        "queues_without_worker": queues_without_worker(list(Worker.alive())),
        "trend": trend,
    }


@router.get("/workers", response=responses(list[shapes.WorkerFacts]))
def workers(request: TokenRequest) -> list[dict[str, Any]]:  # noqa: ARG001
    """List the workers that were heard of in the last day, the silent ones too."""
    now = timezone.now()
    return [worker_facts(worker, now) for worker in Worker.objects.all()]
