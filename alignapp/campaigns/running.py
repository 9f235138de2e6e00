"""Start, hold and go on with a campaign. Every step is a conditional update, so that any may come twice.

Knows nothing of pages or of learning: a person's job is an ordinary one, behind everybody's own.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from alignapp.adapters import dispatch
from alignapp.adapters.models import Job
from alignapp.audit.services import record
from alignapp.campaigns import one_person, planning
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.campaigns.outcomes import HELD, broken_rule, settle, win_rate
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

log = logging.getLogger(__name__)

CANCELLED = "The campaign that asked for it was cancelled."
State, Of = Campaign.State, Enrolment.State


def start(by: Person | str, campaign: Campaign, reason: str) -> Campaign:
    """Store a campaign and enrol its people; the clock begins the first wave. Raises AlignError.

    What it needs is looked at again: between plan and start somebody may have left.
    """
    _check_reason(reason)
    kind = planning.check(campaign)
    people = list(planning.people_of(campaign, kind).order_by("date_joined").values_list("pk", flat=True))
    if not people:
        raise AlignError("Nobody would be touched: nobody who consents has anything of that kind.")
    campaign.started_by = str(by)
    try:
        with transaction.atomic():
            campaign.save(force_insert=True)
            rows = [Enrolment(campaign=campaign, person_id=pk) for pk in people]
            Enrolment.objects.bulk_create(rows, batch_size=1000)
            record(
                by, "campaign.started", campaign, reason=reason, name=campaign.name, people=len(people),
                method=campaign.method, kind=kind, base_revision=campaign.base_revision,
            )  # fmt: skip
    except IntegrityError:
        raise AlignError(
            f"Another campaign for {campaign.method} is open already. Let it end, or cancel it."
        ) from None
    return campaign


def pause(by: Person | str, campaign: Campaign, reason: str) -> None:
    """Begin nobody more; whoever learns now goes on to the end. Raises AlignError where it does not run."""
    _change(by, campaign, reason, "campaign.paused", (State.RUNNING,), State.PAUSED)
    hold(campaign)


def resume(by: Person | str, campaign: Campaign, reason: str) -> None:
    """Go on. What stopped by its rule is judged by those who get through from now on."""
    _change(
        by, campaign, reason, "campaign.resumed", (State.PAUSED, State.STOPPED), State.RUNNING, fresh=True
    )


def cancel(by: Person | str, campaign: Campaign, reason: str) -> None:
    """End it: nobody more begins, open jobs stop. What is switched on already stays. Raises AlignError."""
    open_ones = (State.RUNNING, State.PAUSED, State.STOPPED)
    _change(by, campaign, reason, "campaign.cancelled", open_ones, State.CANCELLED)
    _leave_out(campaign)
    for enrolment in campaign.enrolments.filter(state=Of.LEARNING).select_related("job"):
        if enrolment.job is not None:
            enrolment.job.cancel(CANCELLED)


def _leave_out(campaign: Campaign) -> None:
    """Say of those who wait for a wave of a cancelled campaign that none comes."""
    campaign.enrolments.filter(state=Of.WAITING).update(
        state=Of.SKIPPED, note="The campaign was cancelled.", settled_at=timezone.now()
    )


BY_NAME = {"pause": pause, "resume": resume, "cancel": cancel}


def hold(campaign: Campaign) -> None:
    """Take the jobs that nobody began out of the queue; their people wait for a wave again."""
    jobs = Job.objects.filter(enrolment__campaign=campaign, enrolment__state=Of.LEARNING)
    ids = list(jobs.filter(state=Job.State.QUEUED).values_list("pk", flat=True))
    Job.objects.filter(pk__in=ids, state=Job.State.QUEUED).update(
        state=Job.State.CANCELLED, reason=HELD, finished_at=timezone.now()
    )


def advance(campaign_id: uuid.UUID | str, owner: str) -> None:
    """Do what is due: take in who got through, stop by the rule, begin the next wave, end. May come twice."""
    campaign = Campaign.claim(campaign_id, owner)
    if campaign is None:
        return
    try:
        settle(campaign)
        campaign.refresh_from_db()
        if campaign.state == State.CANCELLED:
            _leave_out(campaign)
            return
        if campaign.state == State.RUNNING and (why := broken_rule(campaign)):
            _change("system", campaign, why, "campaign.stopped", (State.RUNNING,), State.STOPPED)
            hold(campaign)
        if not campaign.enrolments.filter(state__in=Enrolment.OPEN).exists():
            _end(campaign)
        elif campaign.state == State.RUNNING and not campaign.enrolments.filter(state=Of.LEARNING).exists():
            _next_wave(campaign)
    finally:
        campaign.release(owner)


def _end(campaign: Campaign) -> None:
    """End it where everybody is through, also while it is held: there is nothing that could go on.

    What its rule found stays as the reason; why it was paused does not matter any more.
    """
    held = Campaign.objects.filter(pk=campaign.pk, state__in=(State.RUNNING, State.PAUSED, State.STOPPED))
    why = campaign.reason if campaign.state == State.STOPPED else ""
    with transaction.atomic():
        if held.update(state=State.DONE, reason=why, finished_at=timezone.now()):
            record("system", "campaign.done", campaign, reason=why, name=campaign.name, waves=campaign.wave)


def _next_wave(campaign: Campaign) -> None:
    """Begin the next people; those who learn by themselves just now wait."""
    waiting = campaign.enrolments.filter(state=Of.WAITING).select_related("person", "job")
    found = list(waiting.order_by("created_at", "pk")[: campaign.wave_size])
    wave = campaign.wave + 1
    begun = sum(_begin(campaign, enrolment, wave) for enrolment in found)
    if begun:
        Campaign.objects.filter(pk=campaign.pk).update(wave=wave)
        log.info("campaign %s: wave %d of %d people", campaign.pk, wave, begun)


def _begin(campaign: Campaign, enrolment: Enrolment, wave: int) -> bool:
    """Ask for one person's job; False where they are left out, or have an open job of their own."""
    person = enrolment.person
    waiting = Enrolment.objects.filter(pk=enrolment.pk, state=Of.WAITING)
    before = one_person.acting(campaign, person)
    if why := one_person.obstacle(campaign, person, before):
        waiting.update(state=Of.SKIPPED, note=why, settled_at=timezone.now())
        return False
    try:
        with transaction.atomic():
            if not waiting.update(
                state=Of.LEARNING, wave=wave, before_artifact=before, before=win_rate(before), note=""
            ):
                return False
            job = enrolment.job
            if job is None or not one_person.is_about(job, campaign, before):
                job = one_person.job_for(campaign, person, before)
                Enrolment.objects.filter(pk=enrolment.pk).update(job=job)
            elif job.state == Job.State.CANCELLED:  # else its person had it tried again meanwhile
                job.put_back()
            dispatch.wake_for_job(job)
    except (IntegrityError, AlignError):  # an open job of this method: they learn by themselves just now
        return False
    return True


def _change(
    by: Person | str,
    campaign: Campaign,
    reason: str,
    verb: str,
    before: tuple[str, ...],
    after: str,
    *,
    fresh: bool = False,
) -> None:
    """Move a campaign from one of some states to another, with a reason, on record."""
    _check_reason(reason)
    fields = {"judged_from": timezone.now()} if fresh else {}
    if after == State.CANCELLED:
        fields["finished_at"] = timezone.now()
    with transaction.atomic():
        found = Campaign.objects.filter(pk=campaign.pk, state__in=before)
        if not found.update(state=after, reason="" if after == State.RUNNING else reason, **fields):
            raise AlignError(f"That cannot be done with it now: {campaign.get_state_display().lower()}.")
        record(by, verb, campaign, reason=reason, name=campaign.name)
    campaign.refresh_from_db()


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise AlignError("Say why: it is on record.")
