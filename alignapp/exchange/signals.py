"""What goes with an imported person: the account that stood for them."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete
from django.dispatch import receiver

from alignapp.accounts.models import Person
from alignapp.exchange.models import ImportedPerson


@receiver(post_delete, sender=ImportedPerson)
def delete_the_account(instance: ImportedPerson, **_kwargs: Any) -> None:
    """Nobody signs in with it, and its judgements went with the project."""
    Person.objects.filter(pk=instance.person_id, is_active=False).delete()
