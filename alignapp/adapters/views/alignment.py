""" "My alignment": what shapes the next reply, how strongly, and one click back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from alignapp.adapters import services
from alignapp.adapters.errors import Refused
from alignapp.adapters.forms import PartForm, StrengthsForm
from alignapp.adapters.pages.alignment import alignment_page
from alignapp.adapters.pages.parts import PARTS, applied, strength_change
from alignapp.answers import PersonRequest, refusal, wants_json
from personalization.errors import AlignError


@login_required
@require_GET
def overview(request: PersonRequest) -> HttpResponse:
    """Show the composition, its evidence and history, and what could be learned."""
    return render(request, "adapters/alignment.html", alignment_page(request.user))


@login_required
@require_POST
def strengths(request: PersonRequest) -> HttpResponse:
    """Set how strongly parts act, from the next reply on."""
    form = StrengthsForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused(form.first_error())
        version = services.current_alignment(request.user)
        changed: dict[str, Any] = {
            name: value for name, value in form.given().items() if value != getattr(version, name, 1.0)
        }
        if changed:
            version = services.switch(request.user, change=strength_change(changed), **changed)
    except AlignError as error:
        return refusal(request, error, reverse("adapters:alignment"))
    if wants_json(request):
        return JsonResponse({"version": version.number if version else 0, "changed": changed})
    messages.success(request, _("Saved. It applies to the next reply."), extra_tags="good")
    return redirect("adapters:alignment")


@login_required
@require_POST
def switch_part(request: PersonRequest) -> HttpResponse:
    """Switch a learned part off, or the system message on or off."""
    form = PartForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused(form.first_error())
        part, on = form.cleaned_data["part"], form.cleaned_data["on"]
        if part == "system_message":
            change = _("Switched the system message on") if on else _("Switched the system message off")
            services.switch(request.user, change=change, use_system_message=on)
        elif on:
            raise Refused(
                _("Choose the version that you want to switch on, in the list of what was learned.")
            )
        else:
            change = _("Switched the %(part)s off") % {"part": str(PARTS[part][0]).lower()}
            services.switch(request.user, change=change, **{part: None})
    except AlignError as error:
        return refusal(request, error, reverse("adapters:alignment"))
    messages.success(request, applied(change), extra_tags="good")
    return redirect("adapters:alignment")


@login_required
@require_POST
def go_back(request: PersonRequest) -> HttpResponse:
    """Return to the composition before this one."""
    try:
        version = services.roll_back(request.user)
    except AlignError as error:
        return refusal(request, error, reverse("adapters:alignment"))
    messages.success(request, applied(version.change), extra_tags="good")
    return redirect("adapters:alignment")
