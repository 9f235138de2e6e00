"""Operators' pages for asking several artifacts and the base model the same, and watching them answer."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.adapters import asking
from alignapp.answers import wants_fragment
from alignapp.panel.pages.adapters import asked_page
from alignapp.panel.pages.comparing import compare_page
from alignapp.panel.pages.frame import shown
from alignapp.panel.roles import PanelRequest, Role, needs
from alignapp.panel.views.adapters import PART, chosen_of
from personalization.errors import AlignError


@require_POST
@needs(Role.OPERATOR, fresh=True)
def ask(request: PanelRequest) -> HttpResponse:
    """Put the chosen questions to the chosen artifacts; what was typed stays where that fails."""
    chosen = chosen_of(request.POST.getlist("id"))
    own = request.POST.get("own", "").splitlines()
    prompts = [text for text in (*request.POST.getlist("neutral"), *own) if text.strip()]
    try:
        made = asking.ask(request.user, chosen, prompts, request.POST.get("reason", ""))
    except AlignError as error:
        if len(chosen) < 2:
            messages.error(request, str(error), extra_tags="bad")
            return redirect("panel:adapters")
        context = {**compare_page(chosen, request.POST), "problem": str(error)}
        return shown(request, "panel/compare.html", PART, context, status=400)
    return redirect("panel:asked", made.id)


@require_GET
@needs(Role.OPERATOR)
@vary_on_headers("HX-Request")
def asked(request: PanelRequest, asked_id: uuid.UUID) -> HttpResponse:
    """Show the answers as they come, to whoever asked; HTMX asks again and again for what moves."""
    try:
        found = asking.find(asked_id, request.user)
        if found is None:
            raise Http404
        context = asked_page(found)
    except AlignError as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect("panel:adapters")
    if wants_fragment(request):
        return render(request, "panel/_asked.html", context)
    ids = [("id", column.artifact) for column in found.columns if column.artifact]
    context["back"] = f"{reverse('panel:compare')}?{urlencode(ids)}" if len(ids) > 1 else ""
    return shown(request, "panel/asked.html", PART, context)
