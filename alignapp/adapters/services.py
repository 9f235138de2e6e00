"""What a person does with learning: start a job, switch what was learned on and off, go back.

Knows nothing of pages or of training. Every change of what is switched on makes a new version of the
alignment, in one conditional update, and leaves an audit event.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from alignapp.accounts.consent import has_consent
from alignapp.adapters import dispatch, options
from alignapp.adapters.composition import WITH_CARDS
from alignapp.adapters.models import (
    MERGE,
    PARTS,
    PROVE,
    Alignment,
    AlignmentVersion,
    Artifact,
    Job,
    MethodInfo,
)
from alignapp.adapters.readiness import readiness, sentence
from alignapp.adapters.serving import is_served
from alignapp.audit.services import record
from alignapp.limits import TooMany
from alignapp.profiles.effects import acting
from alignapp.profiles.services import current_profile, strengths_of
from personalization.errors import AlignError, NotEnoughData, UnknownName

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

QUOTAS = ("jobs.per_day", "jobs.full_priority", "jobs.later_priority")

__all__ = ["current_alignment", "follow_values", "readiness", "roll_back", "start_job", "switch", "switch_on"]


def start_job(person: Person, method: str, parameters: Mapping[str, float] | None = None) -> Job:
    """Queue a job and wake a worker; an open job of the same method is returned instead of a second one.

    Without `parameters` it learns with the method's preset; the job keeps what differs from the method's own.
    Raises UnknownName, NotEnoughData (with how much is missing), TooMany, and AlignError without consent.
    """
    if open_job := _open_job(person, method):
        # What a campaign asked for in the background is wanted now.
        asked = Job.objects.filter(pk=open_job.pk, priority__lt=0, state=Job.State.QUEUED)
        asked.exclude(enrolment=None).update(priority=0)
        return open_job
    priority = _check_may_start(person, method)
    chosen = options.preset(method) if parameters is None else dict(parameters)
    try:
        with transaction.atomic():
            job = Job.objects.create(
                person=person,
                method=method,
                parameters=chosen,
                priority=priority,
                profile_version=current_profile(person),
            )
            record(person, "job.started", job, method=method)
            dispatch.wake_for_job(job)
    except IntegrityError:  # a second click was faster
        if open_job := _open_job(person, method):
            return open_job
        raise
    return job


def follow_values(person: Person) -> Job | None:
    """Put what a person states to work, unless nothing of it can act or they switched that part off.

    Returns None then, and where they withdrew their consent or no worker ever started.
    """
    current = current_alignment(person)
    made = Artifact.objects.for_person(person).filter(kind=Artifact.Kind.VALUES, state=Artifact.State.PROVEN)
    if made.exists() and not (current and current.values_id):
        return None
    if not acting(strengths_of(current_profile(person))):
        return None
    try:
        return start_job(person, "values")
    except AlignError:
        return None


def _open_job(person: Person, method: str) -> Job | None:
    own = Job.objects.for_person(person).filter(method=method, base_revision="", from_project=False)
    return own.exclude(state__in=Job.ENDED).first()


def _check_may_start(person: Person, method: str) -> int:
    """Return the priority of the person's next job: after the first ones of a day it waits for others'."""
    known = MethodInfo.objects.filter(enabled=True).values_list("name", flat=True)
    if method not in known:
        raise UnknownName("method", method, known)
    if not has_consent(person):
        raise AlignError("You withdrew your consent to training. Give it again on your account page first.")
    item = next((r for r in readiness(person) if r.method.name == method), None)
    if item is not None and not item.is_ready:
        raise NotEnoughData(sentence(item), missing=item.missing)
    if method == "values":  # closed form, a few seconds, one at a time: a slider may move often
        return 0
    day_ago = timezone.now() - timedelta(days=1)
    jobs = Job.objects.for_person(person).filter(created_at__gt=day_ago)
    # What others asked for is not theirs.
    jobs = jobs.exclude(method__in=("values", MERGE, PROVE)).filter(enrolment=None, from_project=False)
    started, now = jobs.count(), options.values(QUOTAS)
    if started >= now["jobs.per_day"]:
        raise TooMany(
            f"You may start {now['jobs.per_day']} jobs a day. Try again tomorrow.", retry_after_seconds=3600
        )
    return 0 if started < now["jobs.full_priority"] else int(now["jobs.later_priority"])


def current_alignment(person: Person) -> AlignmentVersion | None:
    """Return what is switched on, with its artifacts; None when nothing ever was. One query."""
    pointer = Alignment.objects.filter(person=person).select_related(*WITH_CARDS)
    found = pointer.first()
    return found.current if found else None


def switch(person: Person, *, change: str, by: Person | str | None = None, **fields: Any) -> AlignmentVersion:
    """Change parts of the composition: artifacts, strengths (0 to 1.5), the system message.

    `change` says in words what was done, `by` who did it where it was not the person. Raises AlignError,
    ValidationError and SwitchedMeanwhile.
    """
    previous = current_alignment(person)
    composition = {**(previous.composition() if previous else {}), **fields, "change": change}
    with transaction.atomic():
        version = Alignment.switch(person, previous, **composition)
        record(by or person, "alignment.switched", version, reason=change)
    return version


def switch_on(
    person: Person, artifact: Artifact, *, accept_unproven: bool = False, by: Person | str | None = None
) -> AlignmentVersion:
    """Let an artifact shape the next replies. Without proof the person must say that they accept that.

    Raises AlignError for somebody else's, a quarantined, or an unproven artifact that was not accepted, and
    for one that the safety gate was not asked about: no acceptance stands in for that.
    """
    if artifact.person_id != person.pk:
        raise AlignError("This was learned from somebody else.")
    artifact = Artifact.objects.select_related("report_card").get(pk=artifact.pk)  # as it is now
    if artifact.state == Artifact.State.QUARANTINED:
        raise AlignError(f"{artifact} is quarantined and cannot be switched on.")
    if artifact.state == Artifact.State.EXPIRED:
        raise AlignError(f"{artifact} has expired and cannot be switched on.")
    if not artifact.passed_gate:
        raise AlignError(f"{artifact} was not tested for safety yet and cannot be switched on.")
    if not is_served(artifact):
        raise AlignError(
            f"{artifact} was learned for another base model than the one that answers now. Switch it on "
            "when that model does."
        )
    if artifact.state != Artifact.State.PROVEN and not accept_unproven:
        raise AlignError(f"{artifact} is not proven. Confirm that you want to try it without evidence.")
    strength = {f"{artifact.kind}_strength": 1.0}
    return switch(person, change=f"Switched on {artifact}", by=by, **{artifact.kind: artifact}, **strength)


def roll_back(person: Person) -> AlignmentVersion:
    """Go back to the composition before the current one, as a new version. Raises AlignError without one.

    What was put into quarantine since then stays off, and what was learned for another base model.
    """
    current = current_alignment(person)
    if current is None:
        raise AlignError("Nothing was switched on yet, so there is nothing to go back to.")
    before = AlignmentVersion.objects.for_person(person).filter(number=current.number - 1).first()
    composition = before.composition() if before else _nothing()
    for part in PARTS:
        before_it: Artifact | None = composition[part]
        if before_it and not (before_it.may_act_for(person.pk, part) and is_served(before_it)):
            composition[part] = None
    change = f"Went back to {before}" if before else "Switched everything off"
    return switch(person, change=change, **composition)


def _nothing() -> dict[str, Any]:
    return {**dict.fromkeys(PARTS), "use_system_message": True}
