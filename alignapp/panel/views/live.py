"""The alarms of daily use: what was taken back by itself, and what is pinned and loses."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from alignapp.adapters.live import Rule
from alignapp.adapters.models import LiveAlarm
from alignapp.panel.pages.frame import shown
from alignapp.panel.pages.listing import listing
from alignapp.panel.roles import READERS, PanelRequest, needs


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """List the alarms, newest first."""
    alarms = LiveAlarm.objects.select_related("person", "artifact", "back_to")
    context = {"listing": listing(alarms, request.GET), "rule": Rule.now(), "query": ""}
    return shown(request, "panel/live.html", "adapters", context)
