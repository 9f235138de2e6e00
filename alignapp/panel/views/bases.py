"""Operators' pages about base models: what was checked, add one, move people to it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.adapters import bases
from alignapp.adapters.models import KnownModel
from alignapp.answers import wants_fragment
from alignapp.panel.campaign_forms import AddModelForm, TypedWhyForm
from alignapp.panel.pages.bases import check_page, model_page, models_page
from alignapp.panel.pages.frame import shown
from alignapp.panel.roles import READERS, PanelRequest, Role, needs
from personalization.errors import AlignError

PART = "models"


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """List the base models that are on record."""
    return shown(request, "panel/models.html", PART, models_page())


@require_POST
@needs(Role.OPERATOR)
def add(request: PanelRequest) -> HttpResponse:
    """Put a base model on record and have it checked; what was typed stays where that fails."""
    form = AddModelForm(request.POST)
    if form.is_valid():
        try:
            known = bases.add(request.user, form.cleaned_data["spec"], form.cleaned_data["licence"])
        except AlignError as error:
            form.add_error("spec", str(error))
        else:
            messages.success(request, _("On record. A worker checks it when it is free."), extra_tags="good")
            return redirect("panel:model", known.pk)
    return shown(request, "panel/models.html", PART, models_page(form), status=400)


@require_GET
@needs(*READERS)
@vary_on_headers("HX-Request")
def one(request: PanelRequest, model_id: uuid.UUID) -> HttpResponse:
    """Show one base model; HTMX asks again and again for its check."""
    known = get_object_or_404(KnownModel, pk=model_id)
    if wants_fragment(request):
        return shown(request, "panel/_model_check.html", PART, check_page(known))
    return shown(request, "panel/model.html", PART, model_page(known))


@require_POST
@needs(Role.OPERATOR)
def check(request: PanelRequest, model_id: uuid.UUID) -> HttpResponse:
    """Have a base model checked again."""
    known = get_object_or_404(KnownModel, pk=model_id)
    try:
        bases.check(request.user, known)
        messages.success(request, _("Queued. A worker checks it when it is free."), extra_tags="good")
    except AlignError as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect("panel:model", known.pk)


@require_POST
@needs(Role.OPERATOR, fresh=True)
def make_default(request: PanelRequest, model_id: uuid.UUID) -> HttpResponse:
    """Move everybody to a base model; its name is typed, and what was typed stays where that fails."""
    known = get_object_or_404(KnownModel, pk=model_id)
    form = TypedWhyForm(request.POST, name=known.name)
    if form.is_valid():
        try:
            bases.make_default(request.user, known, form.cleaned_data["reason"])
        except AlignError as error:
            form.add_error(None, str(error))
        else:
            words = _("People are being moved. Start the workers with ALIGN_MODEL=%(spec)s.")
            messages.success(request, words % {"spec": known.spec}, extra_tags="good")
            return redirect("panel:model", known.pk)
    return shown(request, "panel/model.html", PART, model_page(known, form), status=400)
