"""Jobs as a person sees them: start, watch from any device, cancel, try again.

A page only reads rows; closing it changes nothing for the job.
"""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.adapters import services
from alignapp.adapters.errors import Refused
from alignapp.adapters.forms import StartJobForm
from alignapp.adapters.models import Job, MethodInfo
from alignapp.adapters.pages.jobs import job_page, titles
from alignapp.answers import PersonRequest, refusal, wants_fragment
from personalization.errors import AlignError

PER_PAGE = 25


def _job(request: PersonRequest, job_id: uuid.UUID) -> Job:
    owned = Job.objects.for_person(request.user).select_related("artifact__report_card", "profile_version")
    job: Job = get_object_or_404(owned, id=job_id)
    return job


@login_required
@require_GET
def overview(request: PersonRequest) -> HttpResponse:
    """List the person's jobs, newest first."""
    jobs = Job.objects.for_person(request.user).select_related("artifact").order_by("-created_at")
    page = Paginator(jobs, PER_PAGE).get_page(request.GET.get("page"))
    names = titles()
    rows = [(job, names.get(job.method, job.method)) for job in page]
    return render(request, "adapters/jobs.html", {"page": page, "rows": rows})


@login_required
@require_POST
def start(request: PersonRequest) -> HttpResponse:
    """Start learning with one method and go to the job's page."""
    form = StartJobForm(request.POST, methods=MethodInfo.objects.filter(enabled=True).in_bulk())
    try:
        if not form.is_valid():
            raise Refused(form.first_error())
        job = services.start_job(request.user, form.cleaned_data["method"], form.parameters())
    except AlignError as error:
        return refusal(request, error, reverse("adapters:alignment"))
    return redirect("adapters:job", job.id)


@login_required
@require_GET
@vary_on_headers("HX-Request")
def page(request: PersonRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show one job; HTMX asks again and again for the part that moves."""
    template = "adapters/_job.html" if wants_fragment(request) else "adapters/job.html"
    return render(request, template, job_page(_job(request, job_id)))


@login_required
@require_POST
def cancel(request: PersonRequest, job_id: uuid.UUID) -> HttpResponse:
    """Ask a job to stop. A running one stops at its next report."""
    job = _job(request, job_id)
    if job.state in Job.ENDED:
        messages.info(request, _("This job had already ended."))
    else:
        job.cancel()
        messages.success(request, _("It stops now. Nothing of it is kept or switched on."), extra_tags="good")
    return redirect("adapters:job", job.id)


@login_required
@require_POST
def again(request: PersonRequest, job_id: uuid.UUID) -> HttpResponse:
    """Start a new job like one that failed or was cancelled."""
    job = _job(request, job_id)
    try:
        if job.state not in (Job.State.DEAD, Job.State.CANCELLED):
            raise Refused(_("Only a job that failed or was cancelled can be tried again."))
        if job.from_project:
            raise Refused(_("Whoever runs the project starts this again, on the project's page."))
        new = services.start_job(request.user, job.method, job.parameters)
    except AlignError as error:
        return refusal(request, error, reverse("adapters:job", args=[job.id]))
    return redirect("adapters:job", new.id)
