"""When consent ends, and when rows of a study or files behind them go with something else."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver

from alignapp.accounts.consent import training_refused
from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact
from alignapp.adapters.removal import discard
from alignapp.annotation.models import Membership, Project
from alignapp.annotation.services.projects import sharing_refused
from alignapp.studies import withdrawal
from alignapp.studies.models import Given, RewardModel, Study

GONE = "The project that it was made in is gone."


@receiver(training_refused)
def take_out(person: Person, project: Project | None, **_kwargs: Any) -> None:
    """Take a person out of what is learned from a project's people together."""
    withdrawal.withdraw(person, project)


@receiver(sharing_refused)
def take_back_what_was_shared(member: Membership, **_kwargs: Any) -> None:
    """Nobody keeps a version that somebody's adapter is in who shares no more."""
    withdrawal.unshare(member)


@receiver(pre_delete, sender=Study)
def take_back_what_was_given(instance: Study, **_kwargs: Any) -> None:
    """With the study goes who is in which version, so the versions go before it."""
    withdrawal.take_back(Given.objects.filter(study=instance), GONE)


@receiver(post_delete, sender=Study)
def erase_the_group(instance: Study, **_kwargs: Any) -> None:
    """Nobody owns the group's adapter but the study; it goes with it, and with its project."""
    withdrawal.erase_soon(instance)


@receiver(pre_delete, sender=Artifact)
def discard_the_files(instance: Artifact, **_kwargs: Any) -> None:
    """The account of an imported person goes with its project, by rows alone; let the files follow."""
    if instance.job.from_project:
        transaction.on_commit(partial(discard, instance.digest, instance.person_id), robust=True)


@receiver(pre_delete, sender=RewardModel)
def discard_the_reward(instance: RewardModel, **_kwargs: Any) -> None:
    """Its row goes with the study before the account that holds it is erased; let the files follow."""
    transaction.on_commit(partial(discard, instance.digest, instance.person_id), robust=True)
