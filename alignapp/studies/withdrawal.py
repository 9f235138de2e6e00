"""What goes when somebody in a study takes their consent back, leaves, or is erased; and with a study itself.

The group's adapter and the reward models were learned from their rows together with others', so they go as a
whole: rows, files and what engines hold, by the erasure that people have (`accounts.erase`). So do versions
of its merges that members were given (`giving`), also where somebody only shares no more. A person's own
adapter stays theirs, as everything learned from them alone does until they delete it; the project's report
shows it no more.
"""

from __future__ import annotations

import logging
import uuid
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from alignapp.accounts.erase import erase
from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.removal import TAKEN_BACK, remove
from alignapp.audit.services import record
from alignapp.studies.models import Arm, Given, Study

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from alignapp.annotation.models import Membership, Project

log = logging.getLogger(__name__)
WITHDRAWN = "Somebody whose answers were in it does not agree to training any more."
UNSHARED = "Somebody does not share merges with their adapter any more."


def withdraw(person: Person, project: Project | None = None) -> None:
    """Take a person out of the studies of a project, or of all, with everything of the group's adapters.

    A study under way stops: without the group there is nothing to compare. What other people's own jobs made
    already stays theirs.
    """
    arms = Arm.objects.for_person(person).select_related("study")
    for arm in arms.filter(study__project=project) if project else arms:
        _end_group(arm.study)
        if not person.is_active:  # nobody could ever delete it
            for artifact in Artifact.objects.filter(job__arm=arm):
                remove(person, artifact, by="system")
        arm.delete()


def unshare(member: Membership) -> None:
    """Take back what a member was given in a project, and every version that their adapter is in."""
    of_project = Given.objects.filter(study__project=member.project_id)
    mine = Q(job__person=member.person_id) | Q(sources__person=member.person_id)
    take_back(of_project.filter(mine).distinct(), UNSHARED)


def take_back(given: QuerySet[Given], reason: str) -> None:
    """Switch off and delete versions that members were given; their jobs go, too, and find no row more."""
    for one in given.select_related("job__person"):
        job, person = one.job, one.job.person
        artifact = Artifact.objects.filter(job=job).first()
        off = remove(person, artifact, by="system") if artifact else None
        record("system", TAKEN_BACK, job, reason=reason, **({"switched_off": str(off.pk)} if off else {}))
        job.delete()


def finish_withdrawals() -> None:
    """Erase what is left of withdrawn groups, where that failed at first. Called by the sweep."""
    left = Study.objects.filter(withdrawn_at__isnull=False, group__isnull=False)
    for group_id in left.values_list("group_id", flat=True):
        erase_group(group_id)


def erase_group(group_id: uuid.UUID) -> None:
    """Erase the account that holds a group's adapter, and the adapter; nothing where it is gone already."""
    if group := Person.objects.filter(pk=group_id, is_active=False).first():
        erase(group)


def erase_soon(study: Study) -> None:
    """Erase a study's group when the transaction commits."""
    if study.group_id is not None:
        transaction.on_commit(partial(erase_group, study.group_id), robust=True)


def _end_group(study: Study) -> None:
    take_back(Given.objects.filter(study=study), WITHDRAWN)
    # Also where the group is gone already: this person's job may have been put back by an operator.
    for job in study.jobs().exclude(state__in=Job.ENDED):
        job.cancel(WITHDRAWN)
    Study.objects.filter(pk=study.pk).update(found={})
    if study.withdrawn_at is not None:
        return
    log.info("%s: its group's adapter is withdrawn", study)
    Study.objects.filter(pk=study.pk).update(withdrawn_at=timezone.now())
    Arm.objects.filter(study=study).update(group_scores={}, judgements={})  # what the group's said of them
    erase_soon(study)
