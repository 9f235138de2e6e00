"""Rows that belong to one person, and the only door to them.

A view asks `Model.objects.for_person(request.user)` and never `Model.objects.get(...)`: a foreign
id is then not found (404), so nobody learns that it exists.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


class OwnedQuerySet(models.QuerySet):
    """A queryset that knows, by the model's `owner_path`, which person a row belongs to."""

    def for_person(self, person: Person) -> Self:
        """Return the rows of this person only. Executes no query by itself."""
        path: str = self.model.owner_path  # type: ignore[attr-defined] # every OwnedModel has it
        return self.filter(**{path: person})


class OwnedModel(models.Model):
    """A row with a public UUID and one owner, found through `owner_path`."""

    owner_path = "person"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        abstract = True
