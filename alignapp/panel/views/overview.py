"""The first page of the panel: how everything is, and how it was."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from alignapp.panel.pages.frame import shown
from alignapp.panel.pages.overview import overview_page
from alignapp.panel.roles import EVERYBODY, READERS, PanelRequest, needs


@require_GET
@needs(*EVERYBODY)
def page(request: PanelRequest) -> HttpResponse:
    """Show the overview; whoever only supports people goes on to them."""
    if not request.roles & set(READERS):
        return redirect("panel:people")
    return shown(request, "panel/overview.html", "overview", overview_page(request.GET.get("over", "")))
