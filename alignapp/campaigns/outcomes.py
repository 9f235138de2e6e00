"""What came of a campaign so far: who got through and how, whether its rule says stop, and its numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Avg, Count, F
from django.utils import timezone

from alignapp.adapters import services
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.models.alignment import SwitchedMeanwhile
from alignapp.adapters.serving import is_served
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.campaigns.one_person import judged_by
from personalization.statistics import Estimate, mean_of

HELD = "The campaign that asked for it is on hold."
JUDGED_FROM = 5  # fewer are no share to speak of, unless the wave is through
Of = Enrolment.State


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one person got through."""

    state: str
    note: str = ""
    after: float | None = None
    after_low: float | None = None


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
    fields = asdict(outcome)
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
    artifact = judged_by(job)
    if artifact is None and campaign.proves:
        return Outcome(Of.SKIPPED, "What was to be proven was deleted.")
    if job.state == Job.State.DEAD or artifact is None:
        return Outcome(Of.FAILED, job.reason.partition(": ")[0])
    judged = _judged(campaign, enrolment, artifact)
    return replace(judged, after=win_rate(artifact), after_low=win_rate(artifact, "low"))


def _judged(campaign: Campaign, enrolment: Enrolment, artifact: Artifact) -> Outcome:
    after = win_rate(artifact)
    if not artifact.passed_gate:
        return Outcome(Of.REFUSED)
    if enrolment.before is not None and after is not None and after < enrolment.before - campaign.margin:
        return Outcome(Of.LOST)
    if artifact.state != Artifact.State.PROVEN:
        return Outcome(Of.NOT_PROVEN)
    if campaign.base_revision:
        return Outcome(Of.READY, "It waits until its base model answers.")
    if artifact.pk == enrolment.before_artifact_id:
        return Outcome(Of.KEPT)
    if not campaign.switch_on:
        return Outcome(Of.READY)
    if not is_served(artifact):
        return Outcome(Of.READY, "It was learned for another base model than the one that answers.")
    current = services.current_alignment(enrolment.person)
    active = getattr(current, f"{artifact.kind}_id") if current else None
    if active is None:
        return Outcome(Of.READY, "They have none switched on.")
    if active != enrolment.before_artifact_id:
        return Outcome(Of.READY, "They switched to another one meanwhile.")
    return Outcome(Of.MOVED)


def win_rate(artifact: Artifact | None, end: str = "value") -> float | None:
    """Return how often an artifact preferred its person's choice on what it never saw; None unknown.

    `end` "low" asks for the lower end of its 95 % interval instead.
    """
    card = getattr(artifact, "report_card", None)
    found = ((card.results.get("accuracy") or {}).get("artifact") or {}) if card else {}
    value: float | None = found.get(end)
    return value


def keep_up(artifact: Artifact) -> None:
    """Let a campaign that made this version know of a proof that came after it; who got through stays."""
    rates = {"after": win_rate(artifact), "after_low": win_rate(artifact, "low")}
    Enrolment.objects.filter(job=artifact.job_id, settled_at__isnull=False).update(**rates)


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
    """Return the latest waves that have begun, in their order. Two queries; the database counts."""
    latest = campaign.enrolments.filter(wave__gt=max(0, campaign.wave - most)).order_by()
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for wave, state, n in latest.values_list("wave", "state").annotate(n=Count("pk")):
        counts[wave][state] = n
    change = F("after") - F("before")  # of whom either is unknown, none
    found = latest.exclude(after=None).exclude(before=None).values("wave")
    known = found.annotate(n=Count("pk"), mean=Avg(change), square=Avg(change * change))
    changes = {row["wave"]: mean_of(row["n"], row["mean"], row["square"]) for row in known}
    return [Wave(n, sum(counts[n].values()), counts[n], changes.get(n)) for n in sorted(counts)]


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
            "kind": one.kind,
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
