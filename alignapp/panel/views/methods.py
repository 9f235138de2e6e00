"""What each way of learning was measured to do, and what it did here."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from alignapp.panel.pages.frame import shown
from alignapp.panel.pages.methods import methods_page
from alignapp.panel.roles import READERS, PanelRequest, needs


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """Show what the adviser knows."""
    return shown(request, "panel/methods.html", "methods", methods_page())
