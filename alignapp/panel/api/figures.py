"""How everything is and was, and which workers live."""

from __future__ import annotations

from typing import Any, Literal

from django.utils import timezone
from ninja import Query, Router

from alignapp.panel.api import shapes
from alignapp.panel.api.answers import responses
from alignapp.panel.api.auth import READ, TokenRequest
from alignapp.panel.facts import worker_facts
from alignapp.panel.models import Worker
from alignapp.panel.pages.overview import figures

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
    return figures(over, trend_of)


@router.get("/workers", response=responses(list[shapes.WorkerFacts]))
def workers(request: TokenRequest) -> list[dict[str, Any]]:  # noqa: ARG001
    """List the workers that were heard of in the last day, the silent ones too."""
    now = timezone.now()
    return [worker_facts(worker, now) for worker in Worker.objects.all()]
