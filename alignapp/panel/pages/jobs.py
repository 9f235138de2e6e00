"""Jobs as an operator sees them: whose, by pseudonym, where they are, why they failed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Count, QuerySet
from django.http import QueryDict

from alignapp.adapters import options
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.pages.jobs import progress_of
from alignapp.panel.forms import JobFilter, ReasonForm, TypedNameForm
from alignapp.panel.jobs import RAISED
from alignapp.panel.pages.listing import listing

MOST_AT_ONCE = 500
EXAMPLES = 20
# What can be done with a job in which state.
TOUCHES: dict[str, tuple[str, ...]] = {
    "cancel": (Job.State.QUEUED, Job.State.RUNNING),
    "retry": (Job.State.DEAD, Job.State.CANCELLED),
    "raise": (Job.State.QUEUED,),
    "normal": (Job.State.QUEUED,),
}


def jobs_page(query: QueryDict) -> dict[str, Any]:
    """Return the context of the list. At most four queries."""
    form = JobFilter(query or None) if query else JobFilter({})
    # Neither curves nor splits, which may be long.
    jobs = form.chosen().select_related("person").defer("curve", "split", "traceback", "parameters")
    kept = query.copy()
    kept.pop("before", None)
    return {
        "form": form,
        "listing": listing(jobs, query),
        "query": kept.urlencode(),
        "filters": [(name, value) for name, value in kept.items() if name in form.fields],
        "per_day": options.value("jobs.per_day"),
    }


def job_page(
    job: Job, *, cancel_form: forms.Form | None = None, retry_form: forms.Form | None = None
) -> dict[str, Any]:
    """Return the context of one job. At most five queries."""
    name = str(job.id)[:8]
    cancel = cancel_form or (TypedNameForm(name=name) if job.state == Job.State.RUNNING else ReasonForm())
    return {
        **progress_of(job),
        "name": name,
        "cause": cause(job),
        "cancel_form": cancel,
        "retry_form": retry_form or ReasonForm(),
        "raised": RAISED,
        "about": _about(job),
        "parameters": _parameters(job),
        "open_of_person": Job.objects.filter(person=job.person).exclude(state__in=Job.ENDED).count(),
    }


def _about(job: Job) -> list[tuple[Artifact, float | None]]:
    """Return the versions that a job merges, each with its weight, or proves. One query where it has any."""
    weights = {each["artifact"]: each["weight"] for each in job.parameters.get("parents", ())}
    found = Artifact.objects.filter(pk__in=[*weights, *filter(None, [job.parameters.get("artifact")])])
    return [(one, weights.get(str(one.pk))) for one in found.select_related("person")]


def _parameters(job: Job) -> dict[str, Any]:
    """Return the numbers and names; those of a way to merge lie deeper."""
    flat = {name: value for name, value in job.parameters.items() if isinstance(value, str | int | float)}
    flat.pop("artifact", None)
    return flat | dict(job.parameters.get("parameters") or {})


def cause(job: Job) -> str:
    """Return why a job is where it is, without what an error's message may quote."""
    return job.reason.partition(": ")[0]


def bulk_preview(act: str, chosen: QuerySet[Job]) -> dict[str, Any]:
    """Return what an act would touch: how many, of whom, in which states, and the first of them."""
    touched = chosen.filter(state__in=TOUCHES[act]).order_by("created_at")
    ids = [str(pk) for pk in touched.values_list("pk", flat=True)[:MOST_AT_ONCE]]
    rows = Job.objects.filter(pk__in=ids).order_by()
    groups = rows.values("state", "method").annotate(count=Count("pk"), people=Count("person", distinct=True))
    return {
        "act": act,
        "ids": ids,
        "count": len(ids),
        "name": f"{act} {len(ids)}",
        "left_out": chosen.count() - len(ids),
        "groups": groups.order_by("state", "method"),
        "examples": rows.select_related("person").order_by("created_at")[:EXAMPLES],
        "cannot_be_undone": act == "cancel" and any(g["state"] == Job.State.RUNNING for g in groups),
    }
