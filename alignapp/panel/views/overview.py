"""The first page of the panel: how everything is, and how it was."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from alignapp.panel.pages.frame import shown
from alignapp.panel.roles import EVERYBODY, PanelRequest, needs


@require_GET
@needs(*EVERYBODY)
def page(request: PanelRequest) -> HttpResponse:
    """Show the overview."""
    return shown(request, "panel/overview.html", "overview", {})
