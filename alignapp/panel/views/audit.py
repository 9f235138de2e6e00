"""The audit record: find events, have the chain verified, take it along."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from alignapp.adapters import dispatch
from alignapp.audit.export import chunks
from alignapp.audit.models import AuditCheck, AuditEvent
from alignapp.audit.services import record
from alignapp.panel.forms import AuditFilter
from alignapp.panel.pages.audit import audit_page
from alignapp.panel.pages.frame import shown
from alignapp.panel.roles import READERS, PanelRequest, needs


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """List the events that pass the filter."""
    return shown(request, "panel/audit.html", "audit", audit_page(request.GET))


@require_POST
@needs(*READERS)
def verify(request: PanelRequest) -> HttpResponse:
    """Have a worker walk over the whole chain. A check that waits is announced again, not doubled."""
    with transaction.atomic():
        waiting = AuditCheck.objects.filter(finished_at=None).first()
        check = waiting or AuditCheck.objects.create(asked_by=request.user.pseudonym)
        dispatch.wake_for_audit_check(check)
    messages.success(request, _("Queued. The result stands here when it is done."), extra_tags="good")
    return redirect("panel:audit")


@require_GET
@needs(*READERS, fresh=True)
def export(request: PanelRequest) -> HttpResponseBase:
    """Send the events that pass the filter as JSONL."""
    record(request.user, "audit.exported")
    events = AuditEvent.objects.filter(AuditFilter(request.GET).conditions())
    response = StreamingHttpResponse(_sent(chunks(events)), content_type="application/jsonl")
    response["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
    return response


async def _sent(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (part := await sync_to_async(lambda: next(parts, None))()) is not None:
        yield part
