"""A notice that a version was taken back: undo it, or put it away."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from alignapp.adapters import live
from alignapp.adapters.models import LiveAlarm
from alignapp.adapters.pages.parts import applied
from alignapp.answers import PersonRequest, refusal
from personalization.errors import AlignError


def _alarm(request: PersonRequest, alarm_id: uuid.UUID) -> LiveAlarm:
    owned = LiveAlarm.objects.for_person(request.user).select_related("artifact__report_card")
    alarm: LiveAlarm = get_object_or_404(owned, id=alarm_id)
    return alarm


@login_required
@require_POST
def undo(request: PersonRequest, alarm_id: uuid.UUID) -> HttpResponse:
    """Switch on again what was taken back."""
    alarm = _alarm(request, alarm_id)
    try:
        version = live.undo(request.user, alarm)
    except AlignError as error:
        return refusal(request, error, reverse("adapters:alignment"))
    messages.success(request, applied(version.change), extra_tags="good")
    return redirect("adapters:alignment")


@login_required
@require_POST
def put_away(request: PersonRequest, alarm_id: uuid.UUID) -> HttpResponse:
    """Take the notice off the page; what happened stays as it is."""
    live.mark_read(request.user, _alarm(request, alarm_id))
    return redirect("adapters:alignment")
