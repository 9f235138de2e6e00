"""The page on which a person judges fresh answers blind, one pair at a time."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from alignapp.adapters import duels
from alignapp.adapters.errors import Refused
from alignapp.adapters.forms import DuelForm
from alignapp.adapters.models import Artifact, Judgement
from alignapp.answers import PersonRequest, refusal
from personalization.errors import AlignError


@login_required
@require_http_methods(["GET", "POST"])
def duel(request: PersonRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Show two answers, or store what was said about them and go on to the next."""
    owned = Artifact.objects.for_person(request.user).select_related("report_card")
    artifact: Artifact = get_object_or_404(owned, id=artifact_id)
    if request.method == "POST":
        return _judge(request, artifact)
    left = duels.waiting(artifact)
    done = Judgement.objects.filter(artifact=artifact).count()
    if not left and not done:
        messages.info(request, _("There is nothing to judge: it was proven without fresh answers."))
        return redirect("adapters:artifact", artifact.id)
    if not left:
        messages.success(
            request, _("All fresh answers are judged. Here is what you said."), extra_tags="good"
        )
        return redirect("adapters:artifact", artifact.id)
    context = {"artifact": artifact, "duel": left[0], "number": done + 1, "total": done + len(left)}
    return render(request, "adapters/duel.html", context)


def _judge(request: PersonRequest, artifact: Artifact) -> HttpResponse:
    form = DuelForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused(form.first_error())
        duels.judge(artifact, form.cleaned_data["position"], form.cleaned_data["answer"])
    except AlignError as error:
        return refusal(request, error, request.path)
    return redirect(request.path)
