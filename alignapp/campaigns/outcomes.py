"""What came of a campaign so far: who got through and how, whether its rule says stop, and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Avg, Count, F
from django.utils import timezone

from alignapp.adapters import services
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.models.alignment import SwitchedMeanwhile
from alignapp.adapters.serving import is_served
from alignapp.campaigns.models import Campaign, Enrolment
from personalization.statistics import Estimate, clustered_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

HELD = "The campaign that asked for it is on hold."
JUDGED_FROM = 5  # fewer are no share to speak of, unless the wave is through
Of = Enrolment.State


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one person got through."""

    state: str
    note: str = ""
    after: float | None = None


def settle(campaign: Campaign) -> None:
    """Write down what came of the jobs that have ended, and switch on what is proven and loses nothing."""
    learning = campaign.enrolments.filter(state=Of.LEARNING)
    rows = learning.select_related("person", "job__artifact__report_card")
    for enrolment in rows:
        job = enrolment.job
        if job is not None and not job.has_ended:
            continue
        try:
            with transaction.atomic():
                _write(enrolment, _outcome(campaign, enrolment, job))
        except SwitchedMeanwhile:
            continue  # the next round sees what the person switched


def _write(enrolment: Enrolment, outcome: Outcome) -> None:
    same = Enrolment.objects.filter(pk=enrolment.pk, state=Of.LEARNING)
    fields: dict[str, Any] = {"state": outcome.state, "note": outcome.note, "after": outcome.after}
    fields |= {"wave": 0} if outcome.state == Of.WAITING else {"settled_at": timezone.now()}
    written = same.update(**fields)
    if written and outcome.state == Of.MOVED and enrolment.job is not None:
        artifact = enrolment.job.artifact
        change = f"Switched on {artifact} (campaign {enrolment.campaign.name})"[:200]
        services.switch(enrolment.person, change=change, by="system", **{artifact.kind: artifact})


def _outcome(campaign: Campaign, enrolment: Enrolment, job: Job | None) -> Outcome:
    if job is None:
        return Outcome(Of.SKIPPED, "What was learned was deleted.")
    if job.state == Job.State.CANCELLED:
        is_held = job.reason == HELD
        return Outcome(Of.WAITING) if is_held else Outcome(Of.SKIPPED, f"The job was cancelled. {job.reason}")
    artifact: Artifact | None = getattr(job, "artifact", None)
    if job.state == Job.State.DEAD or artifact is None:
        return Outcome(Of.FAILED, job.reason.partition(": ")[0])
    return _judged(campaign, enrolment, artifact)


def _judged(campaign: Campaign, enrolment: Enrolment, artifact: Artifact) -> Outcome:
    after = win_rate(artifact)
    if not artifact.passed_gate:
        return Outcome(Of.REFUSED, "", after)
    if enrolment.before is not None and after is not None and after < enrolment.before - campaign.margin:
        return Outcome(Of.LOST, "", after)
    if artifact.state != Artifact.State.PROVEN:
        return Outcome(Of.NOT_PROVEN, "", after)
    if campaign.base_revision:
        return Outcome(Of.READY, "It waits until its base model answers.", after)
    if not campaign.switch_on:
        return Outcome(Of.READY, "", after)
    if not is_served(artifact):
        return Outcome(Of.READY, "It was learned for another base model than the one that answers.", after)
    current = services.current_alignment(enrolment.person)
    active = getattr(current, f"{artifact.kind}_id") if current else None
    if active is None:
        return Outcome(Of.READY, "They have none switched on.", after)
    if active != enrolment.before_artifact_id:
        return Outcome(Of.READY, "They switched to another one meanwhile.", after)
    return Outcome(Of.MOVED, "", after)


def win_rate(artifact: Artifact | None) -> float | None:
    """Return how often an artifact preferred its person's choice on what it never saw; None unknown."""
    card = getattr(artifact, "report_card", None)
    found = ((card.results.get("accuracy") or {}).get("artifact") or {}) if card else {}
    value: float | None = found.get("value")
    return value


def broken_rule(campaign: Campaign) -> str:
    """Say why it must stop, by those who got through since it was last resumed; empty: it may go on."""
    since = campaign.enrolments.filter(settled_at__gte=campaign.judged_from, state__in=Enrolment.JUDGED)
    states = list(since.values_list("state", flat=True))
    is_wave_open = campaign.enrolments.filter(state=Of.LEARNING).exists()
    if not states or (len(states) < JUDGED_FROM and is_wave_open):
        return ""
    lost = states.count(Of.LOST) / len(states)
    refused = (states.count(Of.REFUSED) + states.count(Of.FAILED)) / len(states)
    if lost > campaign.most_lost:
        return (
            f"{lost:.0%} of {len(states)} people lost more than {100 * campaign.margin:.0f} points of win "
            f"rate; at most {campaign.most_lost:.0%} may."
        )
    if refused > campaign.most_refused:
        return (
            f"{refused:.0%} of {len(states)} versions were refused by the safety gate or failed; "
            f"at most {campaign.most_refused:.0%} may be."
        )
    return ""


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave: how many of each outcome, and how the win rate changed on average, with its interval."""

    number: int
    people: int
    counts: dict[str, int]
    change: Estimate | None


def waves_of(campaign: Campaign, most: int) -> list[Wave]:
    """Return the latest waves that have begun, in their order. One query."""
    fields = ("person_id", "wave", "state", "before", "after")
    latest = campaign.enrolments.filter(wave__gt=max(0, campaign.wave - most)).order_by("wave")
    rows = list(latest.values_list(*fields))
    numbers = sorted({row[1] for row in rows})
    return [_wave(number, [row for row in rows if row[1] == number]) for number in numbers]


def _wave(number: int, rows: Sequence[tuple[Any, ...]]) -> Wave:
    counts = {state: sum(row[2] == state for row in rows) for state in {row[2] for row in rows}}
    return Wave(number, len(rows), counts, _change_of(rows))


def _change_of(rows: Iterable[tuple[Any, ...]]) -> Estimate | None:
    """Return the mean change of (person, wave, state, before, after), as points of 1; None without any."""
    known = [row[4] - row[3] for row in rows if row[3] is not None and row[4] is not None]
    return _mean_change(tuple(sorted(known))) if known else None


@lru_cache(maxsize=256)
def _mean_change(changes: tuple[float, ...]) -> Estimate:
    """Return the mean of one wave's changes, each of another person; a wave that is over is drawn once."""
    return clustered_mean(changes, range(len(changes)))


def as_dict(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign with its numbers, JSON-ready. Two queries."""
    return as_dicts([campaign])[0]


def as_dicts(campaigns: Sequence[Campaign]) -> list[dict[str, Any]]:
    """Return campaigns with their numbers, JSON-ready. Two queries, however many there are."""
    rows = Enrolment.objects.filter(campaign__in=campaigns).order_by()
    counts: dict[object, dict[str, int]] = {one.pk: dict.fromkeys(Of.values, 0) for one in campaigns}
    for campaign_id, state, n in rows.values_list("campaign", "state").annotate(n=Count("pk")):
        counts[campaign_id][state] = n
    # Of the win rate, where both are known.
    changes = dict(rows.values_list("campaign").annotate(change=Avg(F("after") - F("before"))))
    return [
        {
            "id": str(one.pk),
            "name": one.name,
            "state": one.state,
            "reason": one.reason,
            "method": one.method,
            "parameters": one.parameters,
            "base_revision": one.base_revision,
            "whom": one.whom,
            "wave": one.wave,
            "wave_size": one.wave_size,
            "people": sum(counts[one.pk].values()),
            "outcomes": counts[one.pk],
            "change": changes.get(one.pk),
            "started_by": one.started_by,
            "created_at": one.created_at.isoformat(),
            "finished_at": one.finished_at.isoformat() if one.finished_at else None,
        }
        for one in campaigns
    ]
