"""What goes when somebody in a study takes their consent back, leaves, or is erased; and with a study itself.

The group's adapter and the reward models were learned from their rows together with others', so they go as a
whole: rows, files and what engines hold, by the erasure that people have (`accounts.erase`). A person's own
adapter stays theirs, as everything learned from them alone does until they delete it; the project's report
shows it no more.
"""

from __future__ import annotations

import logging
import uuid
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from alignapp.accounts.erase import erase
from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.removal import remove
from alignapp.studies.models import Arm, Study

if TYPE_CHECKING:
    from alignapp.annotation.models import Project

log = logging.getLogger(__name__)
WITHDRAWN = "Somebody whose answers were in it does not agree to training any more."


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
    # Also where the group is gone already: this person's job may have been put back by an operator.
    for job in study.jobs().exclude(state__in=Job.ENDED):
        job.cancel(WITHDRAWN)
    if study.withdrawn_at is not None:
        return
    log.info("%s: its group's adapter is withdrawn", study)
    Study.objects.filter(pk=study.pk).update(withdrawn_at=timezone.now())
    Arm.objects.filter(study=study).update(group_scores={}, judgements={})  # what the group's said of them
    erase_soon(study)
