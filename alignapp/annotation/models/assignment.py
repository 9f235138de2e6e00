"""One item in one annotator's hands: its queue, its lease, the order of its candidates, the draft."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from alignapp.annotation.access import InProjectQuerySet
from alignapp.annotation.models.item import Candidate, Item
from alignapp.owned import OwnedModel


class AssignmentQuerySet(InProjectQuerySet):
    """Assignments by what can be done with them."""

    def held(self) -> Self:
        """Return those that are begun or about to be, under a lease that still runs."""
        return self.filter(state__in=Assignment.OPEN, lease_until__gt=timezone.now())

    def lapsed(self) -> Self:
        """Return those whose lease ran out before they were submitted."""
        return self.filter(state__in=Assignment.OPEN, lease_until__lte=timezone.now())


class Assignment(OwnedModel):
    """An item that one annotator judges. Whoever it belongs to is the only one who sees it and managers."""

    owner_path = "annotator"
    project_path = "item__project"

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        DRAFT = "draft", "Draft"
        SUBMITTED = "submitted", "Submitted"
        DISCARDED = "discarded", "Discarded"  # skipped, or its lease ran out
        FLAGGED = "flagged", "Flagged"  # something is wrong with the item; the place stays taken

    OPEN = (State.PENDING, State.DRAFT)
    TAKING = (State.PENDING, State.DRAFT, State.SUBMITTED, State.FLAGGED)  # what Item.taken counts

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assignments"
    )
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    order = models.JSONField()  # ids of the candidates as they are shown; may be two of several
    repeat_of = models.OneToOneField(  # the same item, asked again without saying so
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="repeat"
    )
    strategy = models.CharField(max_length=10)  # random, fill, active, gold, repeat
    reason = models.CharField(max_length=300, blank=True)  # why this one was chosen, in words
    note = models.CharField(max_length=1_000, blank=True)  # why it was skipped or flagged
    lease_until = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)  # the first time
    # What the form held when it was last saved, {field: [value, ...]}, and how often it was.
    draft = models.JSONField(default=dict, blank=True)
    draft_number = models.PositiveIntegerField(default=0)
    drafted_at = models.DateTimeField(null=True, blank=True)
    active_ms = models.PositiveIntegerField(default=0)  # while the page was visible

    objects = AssignmentQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["item", "annotator"],
                condition=Q(repeat_of=None),
                name="one_assignment_of_an_item_to_a_person",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lease_until"],
                name="assignment_open",
                condition=Q(state__in=["pending", "draft"]),
            )
        ]

    @property
    def is_open(self) -> bool:
        """Say whether nothing was submitted, skipped or flagged."""
        return self.state in self.OPEN

    def candidates(self) -> list[Candidate]:
        """Return the candidates as this annotator sees them. One query unless they are prefetched."""
        by_id = {str(candidate.id): candidate for candidate in self.item.candidates.all()}
        return [by_id[candidate_id] for candidate_id in self.order if candidate_id in by_id]
