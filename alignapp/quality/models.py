"""Decisions of those who manage a project, beside what annotators said: they change and replace nothing.

No figure reads them. Whoever wants one answer for an item takes the decision; whoever learns tastes does not.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from alignapp.annotation.access import InProjectQuerySet
from alignapp.annotation.models import Item
from alignapp.owned import OwnedModel


class AdjudicationQuerySet(InProjectQuerySet):
    """Decisions, those in force apart."""

    def current(self) -> AdjudicationQuerySet:
        """Return the latest decision on each item."""
        return self.filter(superseded_at=None)


class Adjudication(OwnedModel):
    """One decision on one item, with its reason. A change of mind is a new row."""

    owner_path = "decided_by"  # the reason is this person's words, and leaves with them
    project_path = "item__project"

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="adjudications")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="adjudications"
    )
    ranking = models.JSONField()  # [[candidate id, ...], ...] best first; alike ones share a list
    reason = models.CharField(max_length=1_000)
    superseded_at = models.DateTimeField(null=True, blank=True)

    objects = AdjudicationQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=Q(superseded_at=None), name="one_adjudication_in_force"
            ),
            models.CheckConstraint(name="adjudication_has_a_reason", condition=~Q(reason="")),
        ]

    @property
    def best(self) -> str:
        """The id of the candidate that was decided for, "" when they are alike."""
        return str(self.ranking[0][0]) if len(self.ranking[0]) == 1 else ""

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only. Raises TypeError when the row exists."""
        if not self._state.adding:
            raise TypeError("A decision is never changed; decide again.")
        super().save(*args, **kwargs)
