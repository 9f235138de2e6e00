"""What changes where a person's vector starts, and who is in the next common taste, from elsewhere."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from alignapp.accounts.consent import training_refused
from alignapp.accounts.models import Person
from alignapp.annotation.models import Project
from alignapp.audit.services import record
from alignapp.instant import services
from alignapp.instant.models import InstantChoice
from alignapp.profiles.models import ProfileVersion


@receiver(post_save, sender=ProfileVersion)
def follow_values(instance: ProfileVersion, **_kwargs: Any) -> None:
    """Let the vector start from what is stated now."""
    if instance.changed_section == ProfileVersion.Section.VALUES:
        services.refresh_soon(instance.person)


@receiver(training_refused)
def leave(person: Person, project: Project | None, **_kwargs: Any) -> None:
    """Whoever takes the consent back has to tick anew."""
    giving = InstantChoice.objects.filter(person=person, gives=True)
    if project is None and giving.update(gives=False):
        record(person, "start.left", person)
