"""What an operator does with jobs: cancel, try again, let go first. Pages and `manage.py jobs` call these.

Each act is one conditional update of the row and one audit event, which the job's person sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction

from alignapp.accounts.consent import has_consent
from alignapp.adapters import dispatch
from alignapp.adapters.models import Job
from alignapp.audit.services import record
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

CANCELLED = "An operator stopped it."
PRIORITIES = (-10, 10)  # the lowest and the highest
ACTS = ("cancel", "retry", "raise", "normal")
RAISED = 5


def cancel(job: Job, *, by: Person | None, reason: str = "") -> None:
    """Stop a waiting job now, a running one at its next report. Raises AlignError for one that has ended."""
    with transaction.atomic():
        if not job.cancel(CANCELLED):
            raise AlignError(f"{job} has ended already.")
        record(by, "job.cancelled", job, reason=reason)


def retry(job: Job, *, by: Person | None, reason: str = "") -> None:
    """Queue a failed or cancelled job again. Raises AlignError when it cannot be, and without consent."""
    if not has_consent(job.person):
        raise AlignError(f"{job.person} withdrew the consent to training; nothing of theirs may learn.")
    with transaction.atomic():
        job.put_back()
        record(by, "job.retried", job, reason=reason)
        dispatch.wake_for_job(job)


def set_priority(job: Job, priority: int, *, by: Person | None, reason: str = "") -> None:
    """Let a waiting job go before others, or after. Raises AlignError out of range and for one that runs."""
    low, high = PRIORITIES
    if not low <= priority <= high:
        raise AlignError(f"A priority is between {low} and {high}; {priority} is not.")
    with transaction.atomic():
        if not Job.objects.filter(pk=job.pk, state=Job.State.QUEUED).update(priority=priority):
            raise AlignError(f"{job} does not wait any more, so that its priority means nothing.")
        record(by, "job.reprioritised", job, reason=reason, before=job.priority, after=priority)


def act(name: str, job: Job, *, by: Person | None, reason: str = "") -> None:
    """Do one of ACTS. Raises AlignError as the verb does."""
    if name == "cancel":
        cancel(job, by=by, reason=reason)
    elif name == "retry":
        retry(job, by=by, reason=reason)
    else:
        set_priority(job, RAISED if name == "raise" else 0, by=by, reason=reason)


def act_on_all(name: str, jobs: Iterable[Job], *, by: Person | None, reason: str) -> tuple[int, list[str]]:
    """Do one act with each job; return how many it was done with, and why not with the others."""
    done, refused = 0, []
    for job in jobs:
        try:
            act(name, job, by=by, reason=reason)
            done += 1
        except AlignError as error:
            refused.append(str(error))
    return done, refused
