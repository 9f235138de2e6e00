"""For machines: whether it lives, whether work can be taken on, and the numbers in Prometheus' format."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from alignapp.chat import streams
from alignapp.panel.models import Worker
from workers import queues

NEEDED = (queues.GENERATE, queues.TRAIN, queues.HOUSEKEEPING)


@require_GET
def healthz(_: HttpRequest) -> HttpResponse:
    """Say whether database and broker answer; 503 when one does not."""
    return _answer(_reachable())


@require_GET
def readyz(_: HttpRequest) -> HttpResponse:
    """Say whether database, broker and a worker for each queue are there; 503 when one is not."""
    state = _reachable() | dict.fromkeys(NEEDED, "no worker")
    try:
        for worker in Worker.alive():
            state |= {name: "ok" for name in worker.queues if name in NEEDED}
    except DatabaseError:  # also where it answers and was not migrated
        state["database"] = "unreachable"
    return _answer(state)


def _reachable() -> dict[str, str]:
    state = {"database": "ok", "broker": "ok"}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        state["database"] = "unreachable"
    try:
        streams.connection().ping()
    except RedisError:
        state["broker"] = "unreachable"
    return state


def _answer(state: dict[str, str]) -> JsonResponse:
    return JsonResponse(state, status=200 if set(state.values()) == {"ok"} else 503)


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Send the numbers to whoever shows the token; without one only to this machine, and never over https."""
    if not _may_read(request):
        return HttpResponse(
            "Show ALIGN_METRICS_TOKEN as a bearer token.\n", status=401, content_type="text/plain"
        )
    from alignapp.panel.exposition import CONTENT_TYPE_LATEST, exposition  # slow to import

    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    if token := settings.METRICS_TOKEN:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
    forwarded = "X-Forwarded-For" in request.headers  # a proxy on this machine speaks for others
    return not settings.HTTPS and not forwarded and request.META.get("REMOTE_ADDR") in ("127.0.0.1", "::1")
