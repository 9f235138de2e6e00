"""The models of a project: the page of those who manage it, starting and stopping, the report as a file."""

from __future__ import annotations

import json
import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.annotation.rights import joined, managed_project
from alignapp.answers import PersonRequest, refusal, wants_fragment
from alignapp.studies import pages, services
from alignapp.studies.models import Study
from alignapp.studies.report import report_of
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
    study = services.study_of(project, _chosen(request))
    if wants_fragment(request):
        context = pages.part(project, study)
        response = render(request, "studies/_study.html", context)
        if not context.get("is_open"):
            response["HX-Refresh"] = "true"  # the next study can be started now, below what moves
        return response
    return render(request, "studies/page.html", pages.page(project, study))


def _chosen(request: PersonRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.GET["study"]) if request.GET.get("study") else None
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
@require_GET
def report(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Send what a study found as JSON, with people under their pseudonyms."""
    study = _study(request, study_id)
    arms = list(study.arms.select_related("person"))
    body = json.dumps(report_of(arms).as_dict(study), indent=1, ensure_ascii=False)
    response = HttpResponse(body, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="study-{study.id}.json"'
    response["Cache-Control"] = "no-store"
    return response
