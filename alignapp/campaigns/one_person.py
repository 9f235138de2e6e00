"""What a campaign asks of one person: which of theirs it is about, why not now, and the job.

Knows nothing of waves, states or pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alignapp.accounts.consent import has_consent
from alignapp.adapters import proofs
from alignapp.adapters.models import Alignment, Artifact, Job, MethodInfo
from alignapp.adapters.readiness import readiness, sentence
from alignapp.audit.services import record
from alignapp.campaigns.planning import IN_SERVICE
from alignapp.profiles.services import current_profile

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from alignapp.campaigns.models import Campaign

PRIORITY = -5  # after everybody's own jobs; operators may raise one


def acting(campaign: Campaign, person: Person) -> Artifact | None:
    """Return what acts for a person of the campaign's kind, or else the newest that may."""
    kind = campaign.kind or MethodInfo.objects.get(pk=campaign.method).produces
    path = f"current__{kind}"
    pointer = Alignment.objects.filter(person=person).select_related(
        f"{path}__report_card", f"{path}__job", f"{path}__person"
    ).first()  # fmt: skip
    active: Artifact | None = getattr(pointer.current, kind) if pointer else None
    if active is not None:
        return active
    own = Artifact.objects.for_person(person).filter(kind=kind, state__in=IN_SERVICE)
    own = own.filter(job__from_project=False)  # what a project asked for is learned anew there
    return own.select_related("report_card", "job", "person").order_by("-number").first()


def obstacle(campaign: Campaign, person: Person, before: Artifact | None) -> str:
    """Say why nothing can be learned or proven for a person now; empty where it can."""
    if not person.is_active or not has_consent(person):
        return "They withdrew their consent to training."
    if campaign.proves:
        return proofs.obstacle(before) if before else "They have none any more that could be proven."
    item = next((one for one in readiness(person) if one.method.name == campaign.method), None)
    if item is None:
        return f"{campaign.method} is switched off."
    return "" if item.is_ready else sentence(item)


def job_for(campaign: Campaign, person: Person, before: Artifact | None) -> Job:
    """Store the job that the campaign asks for; who waits for it is told elsewhere."""
    # Two versions are proven on the same conversations, so that their win rates can be compared; one that is
    # proven again meets what was said since.
    held_out = before.job.split.get("held_out") if before and not campaign.proves else None
    job: Job = Job.objects.create(
        person=person,
        method=campaign.method,
        base_revision=campaign.base_revision,
        parameters={"artifact": str(before.pk)} if campaign.proves and before else campaign.parameters,
        profile_version=current_profile(person),
        split={"held_out": held_out} if held_out else {},
        priority=PRIORITY,
    )
    why = f"Campaign {campaign.name}"
    if campaign.proves:
        record("system", "artifact.proof_asked", before, reason=why, base_revision=campaign.base_revision)
    else:
        record("system", "job.started", job, reason=why, method=campaign.method)
    return job


def is_about(job: Job, campaign: Campaign, before: Artifact | None) -> bool:
    """Say whether a job that was taken back may go on: one that proves names the version that acts now."""
    return not campaign.proves or (before is not None and job.parameters.get("artifact") == str(before.pk))


def judged_by(job: Job) -> Artifact | None:
    """Return what a job made, or else what it proved again; None where that is gone. One query at most."""
    made: Artifact | None = getattr(job, "artifact", None)
    if made is not None or "artifact" not in job.parameters:
        return made
    rows = Artifact.objects.filter(person=job.person_id).select_related("report_card")
    return rows.filter(pk=job.parameters["artifact"]).first()
