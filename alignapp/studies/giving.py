"""Give members of a consenting group a merge of their adapters: to each who agreed a version of their own.

Knows nothing of how adapters are merged, nor of pages. An operator gives the group's merge; a job makes the
same merge anew for each taker, sealed for them, and it is proven on what that person answered and the study
held out, and meets the safety gate, like any other version. It acts only where they switch it on. Everybody
whose adapter is in it, and every taker, ticked in the project that they share; `withdrawal` takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from alignapp.adapters import dispatch
from alignapp.adapters.models import MERGE, Artifact, Job
from alignapp.audit.services import record
from alignapp.studies.models import Arm, Given, Study
from alignapp.studies.records import consenting
from alignapp.studies.services import BEHIND
from personalization.errors import AlignError

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from alignapp.accounts.models import Person

SILENT = "Say why: every version that is given is on record with its reason."
REFUSED = (
    "Somebody whose adapter is in it does not let it be given to others, or agrees to training no more. "
    "Merge the adapters of those who do."
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What could be given of a group's merge now."""

    study: Study
    sources: list[Arm]  # whose adapters are in it
    unwilling: int  # of those, who do not share
    takers: list[Arm]  # who share and have, or are getting, no version of it
    given: list[Given]  # what was given before, the oldest first

    @property
    def obstacle(self) -> str:
        """Why nothing can be given; empty where it can."""
        if self.unwilling:
            return REFUSED
        return "" if self.takers else "Everybody who agreed to be given it has it already, or is getting it."


def offer(merge: Artifact) -> Offer:
    """Look at who could be given a version of a group's merge. Raises AlignError for anything else."""
    study = Study.objects.filter(group=merge.person_id, withdrawn_at=None).select_related("project").first()
    if study is None or merge.job.method != MERGE:
        raise AlignError(f"{merge} is no merge of a group's adapters, so there is nobody to give it to.")
    parents = [parent["artifact"] for parent in merge.job.parameters["parents"]]
    sources = list(study.arms.filter(job__artifact__in=parents))
    sharing = sharers(study)
    given = Given.objects.filter(study=study, merge=merge).select_related("job__person", "job__artifact")
    have = {one.job.person_id for one in given if not _came_to_nothing(one.job)}
    return Offer(
        study,
        sources,
        # An adapter that was deleted has no arm to ask any more: whose it was is not known to agree.
        unwilling=len(parents) - sum(arm.person_id in sharing for arm in sources),
        takers=[arm for arm in study.arms.select_related("person") if arm.person_id in sharing - have],
        given=list(given),
    )


def _came_to_nothing(job: Job) -> bool:
    return job.has_ended and not hasattr(job, "artifact")


def sharers(study: Study) -> set[UUID]:
    """Return who of a study's project agrees to training, and to giving and being given merges. One query."""
    members = consenting(study.project).filter(shares=True, person__is_active=True)
    return set(members.values_list("person_id", flat=True))


def give(by: Person | str, merge: Artifact, reason: str) -> list[Job]:
    """Queue a version of the group's merge for each member who agreed and has none; each reads that, and why.

    Raises AlignError without a reason, for what is no group's merge, is damaged or did not pass the gate,
    where somebody in it does not share, and where nobody is left to give it to.
    """
    if not reason.strip():
        raise AlignError(SILENT)
    with transaction.atomic():
        Study.objects.select_for_update().filter(group=merge.person_id).first()  # two at once give once
        found = offer(merge)
        if not merge.passed_gate or merge.damage:
            raise AlignError(f"{merge} is out of service, damaged, or was not tested for safety.")
        if found.obstacle:
            raise AlignError(found.obstacle)
        record(by, "merge.given", merge, reason=reason, members=len(found.takers))
        return [_give(by, merge, found, arm, reason) for arm in found.takers]


def _give(by: Person | str, merge: Artifact, found: Offer, arm: Arm, reason: str) -> Job:
    job = Job.objects.create(
        person=arm.person,
        method=MERGE,
        parameters=merge.job.parameters,
        from_project=True,
        priority=BEHIND,
    )
    given = Given.objects.create(study=found.study, job=job, merge=merge)
    given.sources.set(found.sources)
    record(by, "merge.given", job, reason=reason, merge=merge.digest, people=len(found.sources))
    dispatch.wake_for_job(job)
    return job


def check_agreed(job: Job) -> None:
    """Raise AlignError where a version is being given and somebody concerned agrees to that no more."""
    given = Given.objects.filter(job=job).select_related("study__project").first()
    if given is None:
        return
    sources: Collection[UUID] = given.sources.values_list("person_id", flat=True)
    if not {*sources, job.person_id} <= sharers(given.study):
        raise AlignError(REFUSED)
