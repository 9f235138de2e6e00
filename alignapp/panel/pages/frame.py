"""What every page of the panel is rendered with: its navigation, and what can be undone."""

from __future__ import annotations

from functools import partial
from typing import Any

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.http import HttpResponse
from django.shortcuts import render

from alignapp.panel import undo
from alignapp.panel.navigation import entries_for
from alignapp.panel.roles import READERS, PanelRequest, Role


def shown(
    request: PanelRequest, template: str, part: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page of the panel; `part` is the entry of the navigation that it belongs to."""
    frame = {
        "entries": entries_for(request.roles, part),
        "may_act": Role.OPERATOR in request.roles,
        "may_read": bool(request.roles & set(READERS)),
        "undo": undo.offered(request),
        # Else what is typed would be typed in vain. Asked only by templates that have something to type.
        "is_fresh": partial(did_recently_reauthenticate, request),
    }
    return render(request, template, {**frame, **context}, status=status)
