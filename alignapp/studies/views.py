"""The models of a project: the pages of those who manage it, starting and stopping, the report as a file."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.annotation.rights import joined, managed_project
from alignapp.answers import PersonRequest, refusal, saying_when, status_of, wants_fragment
from alignapp.studies import pages, services, trying, trying_page
from alignapp.studies.models import RewardModel, Study
from alignapp.studies.report import kept
from personalization.errors import AlignError


def _study(request: PersonRequest, study_id: uuid.UUID) -> Study:
    """Return a study of a project that whoever asks owns or manages. Raises Http404."""
    managed = Study.objects.managed_by(request.user).select_related("project", "group_job")
    found: Study = get_object_or_404(managed, id=study_id)
    return found


@login_required
@require_GET
@vary_on_headers("HX-Request")
def page(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Show what could be trained and the latest study, or the one asked for; HTMX asks for what moves."""
    project = managed_project(request, project_id)
    study = services.study_of(project, _chosen(request, "study"))
    if wants_fragment(request):
        context = pages.part(project, study)
        response = render(request, "studies/_study.html", context)
        if not context.get("is_open"):
            response["HX-Refresh"] = "true"  # the next study can be started now, below what moves
        return response
    return render(request, "studies/page.html", pages.page(project, study))


def _chosen(request: PersonRequest, name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.GET[name]) if request.GET.get(name) else None
    except ValueError:
        raise Http404 from None


@login_required
@require_POST
def start(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Begin to learn a group's adapter and each person's own."""
    project = managed_project(request, project_id)
    back = reverse("studies:page", args=[project.id])
    try:
        study = services.start(joined(request, project_id), request.POST.get("method", ""))
    except AlignError as error:
        return refusal(request, error, back)
    n = study.jobs().count()
    messages.success(request, _("%(n)d jobs wait. You may close this page.") % {"n": n}, extra_tags="good")
    return redirect(f"{back}?study={study.id}")


@login_required
@require_POST
def stop(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Stop what of a study has not ended."""
    study = _study(request, study_id)
    stopped = services.stop(joined(request, study.project_id), study)
    words = _("It stops now. What was done already is kept.") if stopped else _("It had ended already.")
    messages.success(request, words, extra_tags="good")
    return redirect(f"{reverse('studies:page', args=[study.project_id])}?study={study.id}")


@login_required
@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def judge(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Have the reward model judge pasted answers; HTMX asks for what moves. What was typed stays."""
    study = _study(request, study_id)
    reward = RewardModel.objects.filter(study=study, study__withdrawn_at=None).first()
    if reward is None:
        messages.error(request, _("This study has no reward models that could judge."), extra_tags="bad")
        return redirect(f"{reverse('studies:page', args=[study.project_id])}?study={study.id}")
    if request.method == "POST":
        return _judge(request, study, reward)
    form = trying_page.TryForm()
    moving: dict[str, Any] = {}
    if tried_id := _chosen(request, "tried"):
        try:
            if (known := trying.find(tried_id, request.user, reward)) is None:
                moving = {"is_gone": True}
            else:
                form, moving = trying_page.TryForm.of(known[0]), trying_page.part(study, reward, *known)
        except AlignError as error:
            moving = {"problem": str(error)}
    if wants_fragment(request):
        return render(request, "studies/_judged.html", moving)
    return render(request, "studies/judge.html", trying_page.page(study, reward, form) | moving)


def _judge(request: PersonRequest, study: Study, reward: RewardModel) -> HttpResponse:
    form, refused = trying_page.TryForm(request.POST), None
    if form.is_valid():
        try:
            tried = trying.begin(request.user, reward, form.cleaned_data["prompt"], form.answers)
            return redirect(f"{reverse('studies:judge', args=[study.id])}?tried={tried.id}#judged")
        except AlignError as error:
            refused = error
            form.add_error(None, str(error))
    status = status_of(refused) if refused else 400
    context = trying_page.page(study, reward, form)
    return saying_when(render(request, "studies/judge.html", context, status=status), refused)


@login_required
@require_GET
def report(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Send what a study found as JSON, with people under their pseudonyms."""
    study = _study(request, study_id)
    arms = list(study.arms.select_related("person"))
    body = json.dumps(kept(study, arms).as_dict(study), indent=1, ensure_ascii=False)
    response = HttpResponse(body, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="study-{study.id}.json"'
    response["Cache-Control"] = "no-store"
    return response
