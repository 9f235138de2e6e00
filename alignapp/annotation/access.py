"""Who sees what of a project: the only doors to its rows. Everything else answers 404.

Whoever owns or manages a project sees all of it. An annotator sees what is assigned to them
(`for_person` of assignments, submissions and annotations), never what others said.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Self

from django.db import models

from alignapp.owned import OwnedQuerySet

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


class Role(models.TextChoices):
    """What a member may do; each role may also annotate."""

    OWNER = "owner", "Owner"
    MANAGER = "manager", "Manager"
    ANNOTATOR = "annotator", "Annotator"


MANAGING = (Role.OWNER, Role.MANAGER)


def pseudonym(project_id: uuid.UUID, person_id: uuid.UUID) -> str:
    """Return a person's name in what leaves a project: the same in one project, another elsewhere."""
    return "p-" + hashlib.sha256(f"{project_id}:{person_id}".encode()).hexdigest()[:12]


class InProjectQuerySet(OwnedQuerySet):
    """Rows of a project, which the model's `project_path` leads to."""

    def managed_by(self, person: Person) -> Self:
        """Return the rows of the projects that this person owns or manages."""
        path: str = self.model.project_path  # type: ignore[attr-defined] # every such model has it
        prefix = f"{path}__" if path else ""
        member = {f"{prefix}memberships__person": person, f"{prefix}memberships__role__in": MANAGING}
        return self.filter(**member)
