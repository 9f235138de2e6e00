"""Merge adapters of several people: those that one study made, of people who still agree to training.

Knows nothing of how adapters are merged, nor of pages. What several people agreed to is that a model of the
whole group may be made of their answers in a project. A merge of their own adapters of one study is such a
model, so the account that holds the group's adapter holds it: nobody can sign in to that, and it goes as a
whole when one of them takes their consent back (`withdrawal`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from django.db import transaction

from alignapp.adapters import merging
from alignapp.adapters.models import MERGE, Artifact, Job
from alignapp.audit.services import record
from alignapp.studies.models import Arm, Study
from alignapp.studies.records import consenting
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


def start_merge(
    by: Person | str,
    parents: Mapping[Artifact, float],
    way: str,
    parameters: Mapping[str, float],
    reason: str,
) -> Job:
    """Queue a merge of adapters of one person, or of several who agreed to it in one study.

    Each of several reads in their record that theirs is in it, and why. Raises as `adapters.merging` does,
    and AlignError for adapters of several people that no study made together or where one agrees no more.
    """
    people = {artifact.person_id for artifact in parents}
    if len(people) < 2:
        return merging.start_merge(by, parents, way, parameters, reason)
    study = agreed_study(parents)
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)  # a double click makes no second one
        of_group = Job.objects.filter(person=locked.group_id, method=MERGE)
        if of_group.exclude(state__in=Job.ENDED).exists():
            raise AlignError("Another merge for this group has not ended yet. Wait for it, or cancel it.")
        job = merging.start_merge(by, parents, way, parameters, reason, holder=locked.group)
        for artifact in parents:
            record(by, "merge.joined", artifact, reason=reason, job=str(job.pk), people=len(people))
    return job


def agreed_study(artifacts: Collection[Artifact]) -> Study:
    """Return the study that made these adapters, all of whose people agree to training. Two queries.

    Raises AlignError where there is none.
    """
    jobs = {artifact.job_id for artifact in artifacts}
    arms = list(Arm.objects.filter(job__in=jobs).select_related("study__project", "study__group"))
    studies = {arm.study_id for arm in arms}
    if len(studies) != 1 or {arm.job_id for arm in arms} != jobs:
        raise AlignError(
            "These adapters belong to different people. They can be merged only where one study of a project "
            "made all of them, because nothing else was agreed to together."
        )
    study = arms[0].study
    agree = set(consenting(study.project).values_list("person_id", flat=True))
    if study.withdrawn_at or study.group is None or not {arm.person_id for arm in arms} <= agree:
        raise AlignError("Somebody whose adapter it is does not agree to training any more; leave it out.")
    return study
