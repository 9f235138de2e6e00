"""The address that a browser listens to while answers are written. Asynchronous: one task per listener."""

from __future__ import annotations

import uuid

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from alignapp.chat.events import Relay, close_connections, positions_from
from alignapp.chat.models import Reply, Turn


@require_GET
async def events(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponseBase:
    """Stream the replies of a turn as `events.py` says. 401 without a session, 404 for others."""
    reply_ids = await sync_to_async(_owned_replies)(request, turn_id)
    if reply_ids is None:
        return HttpResponse(status=401)
    mark = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    relay = Relay(positions_from(mark, reply_ids))
    response = StreamingHttpResponse(relay.events(), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache, no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _owned_replies(request: HttpRequest, turn_id: uuid.UUID) -> list[uuid.UUID] | None:
    try:
        if not request.user.is_authenticated:
            return None
        turn = Turn.objects.for_person(request.user).filter(id=turn_id).first()
        if turn is None:
            raise Http404
        return list(Reply.objects.filter(turn=turn).order_by("position").values_list("id", flat=True))
    finally:
        close_connections()
