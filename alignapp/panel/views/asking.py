"""Operators' pages for asking several artifacts and the base model the same, and watching them answer."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.adapters import asking
from alignapp.answers import wants_fragment
from alignapp.panel.comparing_forms import AskForm, focus_first_wrong
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
    if not chosen:
        messages.error(request, _("Choose whom to ask."), extra_tags="bad")
        return redirect("panel:adapters")
    form, problem = AskForm(request.POST), ""
    if form.is_valid():
        try:
            made = asking.ask(request.user, chosen, form.questions(), form.cleaned_data["reason"])
        except AlignError as error:
            problem = str(error)
    else:
        problem = _("Nobody is asked. What is wrong is marked below.")
        focus_first_wrong(form)
    if problem:
        context = {**compare_page(chosen, ask_form=form), "problem": problem}
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
