"""Every job of everybody, by pseudonym: find, follow, cancel, try again, let go first, many at once."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core import signing
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.adapters.models import Job
from alignapp.answers import wants_fragment
from alignapp.panel import jobs as verbs
from alignapp.panel import undo
from alignapp.panel.forms import BulkForm, JobFilter, ReasonForm, TypedNameForm
from alignapp.panel.pages.frame import shown
from alignapp.panel.pages.jobs import MOST_AT_ONCE, bulk_preview, job_page, jobs_page
from alignapp.panel.roles import READERS, PanelRequest, Role, needs
from personalization.errors import AlignError

_SALT = "alignapp.panel.bulk"
PREVIEW_SECONDS = 600


def _job(job_id: uuid.UUID) -> Job:
    job: Job = get_object_or_404(Job.objects.select_related("person", "artifact"), id=job_id)
    return job


@require_GET
@needs(*READERS)
def overview(request: PanelRequest) -> HttpResponse:
    """List the jobs that pass the filter."""
    return shown(request, "panel/jobs.html", "jobs", jobs_page(request.GET))


@require_GET
@needs(*READERS)
@vary_on_headers("HX-Request")
def page(request: PanelRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show one job; HTMX asks again and again for the part that moves."""
    template = "panel/_job.html" if wants_fragment(request) else "panel/job.html"
    return shown(request, template, "jobs", job_page(_job(job_id)))


@require_POST
@needs(Role.OPERATOR)
def cancel(request: PanelRequest, job_id: uuid.UUID) -> HttpResponse:
    """Stop a job. A waiting one can be put back; what a running one learned is lost, so its id is typed."""
    job = _job(job_id)
    form = (
        TypedNameForm(request.POST, name=str(job.id)[:8])
        if job.state == Job.State.RUNNING
        else ReasonForm(request.POST)
    )
    if not form.is_valid():
        return shown(request, "panel/job.html", "jobs", job_page(job, cancel_form=form), status=400)
    try:
        verbs.cancel(job, by=request.user, reason=form.cleaned_data["reason"])
    except AlignError as error:
        return _refused(request, error, job)
    if job.state == Job.State.QUEUED:
        undo.offer(
            request,
            _("%(job)s is cancelled.") % {"job": job},
            reverse("panel:retry_job", args=[job.id]),
            reason="Undone",
        )
    else:
        messages.success(request, _("It stops at its next report."), extra_tags="good")
    return redirect("panel:job", job.id)


@require_POST
@needs(Role.OPERATOR)
def retry(request: PanelRequest, job_id: uuid.UUID) -> HttpResponse:
    """Queue a failed or cancelled job again."""
    job = _job(job_id)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return shown(request, "panel/job.html", "jobs", job_page(job, retry_form=form), status=400)
    try:
        verbs.retry(job, by=request.user, reason=form.cleaned_data["reason"])
    except AlignError as error:
        return _refused(request, error, job)
    messages.success(request, _("%(job)s waits again.") % {"job": job}, extra_tags="good")
    return redirect("panel:job", job.id)


@require_POST
@needs(Role.OPERATOR)
def prioritise(request: PanelRequest, job_id: uuid.UUID) -> HttpResponse:
    """Let a waiting job go first, or in turn again."""
    job = _job(job_id)
    try:
        priority = int(request.POST.get("priority", ""))
    except ValueError:
        return _refused(request, AlignError(_("A priority is a whole number.")), job)
    try:
        verbs.set_priority(job, priority, by=request.user)
    except AlignError as error:
        return _refused(request, error, job)
    words = _("%(job)s has priority %(n)d now.") % {"job": job, "n": priority}
    undo.offer(request, words, reverse("panel:prioritise_job", args=[job.id]), priority=job.priority)
    return redirect("panel:job", job.id)


@require_POST
@needs(Role.OPERATOR, fresh=True)
def preview(request: PanelRequest) -> HttpResponse:
    """Show which jobs an act would touch, before it does: those that were picked, or all that match."""
    form = BulkForm(request.POST)
    picked = [each for each in request.POST.getlist("job") if _is_id(each)]
    filters = JobFilter(request.POST)
    chosen = filters.chosen() if "all" in request.POST else Job.objects.filter(pk__in=picked)
    back = f"{reverse('panel:jobs')}?{request.POST.get('query', '')}"
    if not form.is_valid() or not filters.is_valid():
        messages.error(request, _("Say what to do with the jobs."), extra_tags="bad")
        return redirect(back)
    context = bulk_preview(form.cleaned_data["act"], chosen)
    if not context["count"]:
        messages.error(
            request, _("Nothing would be touched: pick jobs that this can be done with."), extra_tags="bad"
        )
        return redirect(back)
    sealed = signing.dumps({"act": context["act"], "jobs": context.pop("ids")}, salt=_SALT, compress=True)
    context |= {"sealed": sealed, "form": TypedNameForm(name=context["name"]), "back": back}
    return shown(request, "panel/jobs_preview.html", "jobs", context)


@require_POST
@needs(Role.OPERATOR, fresh=True)
def bulk(request: PanelRequest) -> HttpResponse:
    """Do what was previewed, with exactly the jobs that were shown."""
    sealed = request.POST.get("sealed", "")
    try:
        told = signing.loads(sealed, salt=_SALT, max_age=PREVIEW_SECONDS)
    except signing.BadSignature:
        messages.error(request, _("That preview is too old. Look at it again."), extra_tags="bad")
        return redirect("panel:jobs")
    chosen = Job.objects.filter(pk__in=told["jobs"])
    context = bulk_preview(told["act"], chosen)
    form = TypedNameForm(request.POST, name=f"{told['act']} {len(told['jobs'])}")
    if not form.is_valid():
        context |= {"sealed": sealed, "form": form, "back": reverse("panel:jobs")}
        return shown(request, "panel/jobs_preview.html", "jobs", context, status=400)
    done, refused = verbs.act_on_all(
        told["act"],
        chosen.select_related("person")[:MOST_AT_ONCE],
        by=request.user,
        reason=form.cleaned_data["reason"],
    )
    messages.success(
        request, ngettext("Done with %(n)d job.", "Done with %(n)d jobs.", done) % {"n": done}, "good"
    )
    for why in refused[:5]:
        messages.warning(request, why, extra_tags="warn")
    return redirect("panel:jobs")


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _refused(request: PanelRequest, error: AlignError, job: Job) -> HttpResponse:
    messages.error(request, str(error), extra_tags="bad")
    return redirect("panel:job", job.id)
