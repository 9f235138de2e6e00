"""Items on which people differ, and a manager's decision about one, recorded beside the answers."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from alignapp.annotation.models import Item
from alignapp.annotation.rights import managed_project
from alignapp.answers import PersonRequest
from alignapp.quality import differences as services
from alignapp.quality.forms import DecisionForm
from alignapp.quality.judgements import MOST_ITEMS, sample_of


@login_required
@require_GET
def differences(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """List the items that are disputed most."""
    project = managed_project(request, project_id)
    found = services.differences(project)
    sampled = MOST_ITEMS if sample_of(project) is not None else 0
    context = {"project": project, "differences": found, "sampled": sampled}
    return render(request, "quality/differences.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def decide(request: PersonRequest, item_id: uuid.UUID) -> HttpResponse:
    """Show an item with earlier decisions, and record a new one."""
    managed = Item.objects.managed_by(request.user).select_related("project").prefetch_related("candidates")
    item: Item = get_object_or_404(managed, id=item_id)
    form = DecisionForm(item, request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.decide(item, request.user, form.cleaned_data["best"], form.cleaned_data["reason"])
        messages.success(request, _("Recorded. What people said stays as it is."), extra_tags="good")
        return redirect("quality:differences", item.project_id)
    history = [(one, _words(one, item)) for one in item.adjudications.select_related("decided_by")]
    context = {"project": item.project, "item": item, "form": form, "history": reversed(history)}
    return render(request, "quality/decide.html", context, status=400 if request.method == "POST" else 200)


def _words(decision: services.Adjudication, item: Item) -> str:
    numbers = {str(one.id): one.position + 1 for one in item.candidates.all()}
    if not decision.best:
        return _("alike")
    return (
        _("answer %d") % numbers[decision.best] if decision.best in numbers else _("an answer that is gone")
    )
