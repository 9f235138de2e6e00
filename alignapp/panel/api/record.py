"""The audit record: events by page, and all of them as JSONL. Without reasons, which may quote a person."""

from __future__ import annotations

from typing import Any

from django.http import StreamingHttpResponse
from ninja import Query, Router

from alignapp.audit.export import FIELDS, chunks
from alignapp.audit.models import AuditEvent
from alignapp.audit.services import noting, record
from alignapp.panel.api import shapes
from alignapp.panel.api.answers import checked, page, responses
from alignapp.panel.api.auth import READ, TokenRequest
from alignapp.panel.forms import AuditFilter
from alignapp.zipping import sent

router = Router(auth=READ, tags=["audit"])


@router.get("", response=responses(shapes.Page[shapes.EventFacts]))
def events(request: TokenRequest, asked: Query[shapes.AskedEvents]) -> dict[str, Any]:
    """List events, the latest first."""
    form = AuditFilter(asked.model_dump(exclude_none=True))
    checked(form)
    rows = AuditEvent.objects.filter(form.conditions())
    return page(
        request,
        asked,
        rows,
        lambda found: [{name: getattr(event, name) for name in FIELDS} for event in found],
        by="id",
    )


@router.get("/export", response=responses(None))
def export_events(request: TokenRequest, asked: Query[shapes.AskedEvents]) -> StreamingHttpResponse:
    """Send every event that passes as JSONL, in the order of the chain; every hash can be computed again."""
    form = AuditFilter(asked.model_dump(exclude_none=True))
    checked(form)
    with noting(token=request.auth.name, token_id=str(request.auth.pk)):
        record(request.auth.person, "audit.exported")
    events = AuditEvent.objects.filter(form.conditions())
    response = StreamingHttpResponse(sent(chunks(events)), content_type="application/jsonl")
    response["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
    return response
