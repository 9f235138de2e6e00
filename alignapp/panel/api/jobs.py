"""Jobs: list, show, cancel, try again, let go first. The rules are those of `alignapp.panel.jobs`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from ninja import Query, Router

from alignapp.adapters.models import Job
from alignapp.api.errors import ApiError
from alignapp.panel import jobs as verbs
from alignapp.panel.api import shapes
from alignapp.panel.api.answers import KEYED, checked, once, page, responses
from alignapp.panel.api.auth import ACT, READ, TokenRequest
from alignapp.panel.facts import job_facts
from alignapp.panel.forms import JobFilter

router = Router(auth=READ, tags=["jobs"])


def _one(job_id: UUID) -> Job:
    job: Job = get_object_or_404(Job.objects.select_related("person"), pk=job_id)
    return job


@router.get("", response=responses(shapes.Page[shapes.JobFacts]))
def jobs(request: TokenRequest, asked: Query[shapes.AskedJobs]) -> dict[str, Any]:
    """List jobs of everybody, newest first."""
    form = JobFilter(asked.model_dump(exclude_none=True))
    checked(form)
    rows = form.chosen().select_related("person").defer("curve", "split", "traceback", "parameters")
    return page(request, asked, rows, lambda found: [job_facts(job) for job in found])


@router.get("/{uuid:job_id}", response=responses(shapes.JobDetails))
def job(request: TokenRequest, job_id: UUID) -> dict[str, Any]:  # noqa: ARG001
    """Show one job."""
    return details(_one(job_id))


def details(job: Job) -> dict[str, Any]:
    """Return all that is said of one job. At most two queries."""
    more = {"queue_position": job.queue_position, "traceback": job.traceback, "curve": job.curve}
    return {**job_facts(job), **more}


@router.post("/{uuid:job_id}/acts", auth=ACT, response=responses(shapes.JobDetails), openapi_extra=KEYED)
def act_on_job(request: TokenRequest, job_id: UUID, asked: shapes.JobAct) -> dict[str, Any]:
    """Cancel a job, try it again, or change its place in the queue."""
    job, person = _one(job_id), request.auth.person
    known = (*verbs.ACTS, "prioritise")
    if asked.act not in known:
        words = f"act: there is no {asked.act!r}. Known: {', '.join(known)}."
        raise ApiError(400, words, code="invalid", param="act")
    if (asked.act == "prioritise") != (asked.priority is not None):
        words = "priority: goes with the act “prioritise”, and only with it."
        raise ApiError(400, words, code="invalid", param="priority")

    def do() -> dict[str, Any]:
        if asked.priority is not None:
            verbs.set_priority(job, asked.priority, by=person, reason=asked.reason)
        else:
            verbs.act(asked.act, job, by=person, reason=asked.reason)
        return details(_one(job_id))

    return once(request, do)
