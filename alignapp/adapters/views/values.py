""" "Values at work": how strongly each stated value acts, from the next reply on."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from alignapp.adapters import services
from alignapp.adapters.errors import Refused
from alignapp.adapters.models.artifact import MOST_STRENGTH
from alignapp.adapters.pages.values import FIELD, METHOD, values_page
from alignapp.answers import PersonRequest, refusal, wants_json
from alignapp.profiles.services import current_profile, set_strengths
from personalization.errors import AlignError


@login_required
@require_http_methods(["GET", "POST"])
def values(request: PersonRequest) -> HttpResponse:
    """Show the sliders and what they were measured to do, or set them and compose the direction anew."""
    if request.method == "GET":
        return render(request, "adapters/values.html", values_page(request.user))
    try:
        set_strengths(request.user, _given(request))
        services.start_job(request.user, METHOD)
    except AlignError as error:
        return refusal(request, error, reverse("adapters:values"))
    if wants_json(request):
        return JsonResponse({})
    messages.success(request, _("Saved. It is tested now and acts within about a minute."), extra_tags="good")
    return redirect("adapters:values")


def _given(request: PersonRequest) -> dict[str, float]:
    current = current_profile(request.user)
    picked = {item["key"] for item in current.values.get("chosen", [])} if current else set()
    found = {}
    for name, text in request.POST.items():
        key = name.removeprefix(FIELD)
        if name.startswith(FIELD) and key in picked:
            try:
                strength = float(str(text))
            except ValueError:
                strength = -1.0
            if not 0.0 <= strength <= MOST_STRENGTH:
                raise Refused(_("A strength lies between 0 and 1.5."))
            found[key] = strength
    return found
