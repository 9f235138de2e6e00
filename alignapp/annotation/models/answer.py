"""What annotators said: submissions with their acts. An edit is a new submission; nothing is overwritten."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import Q

from alignapp.annotation.access import InProjectQuerySet
from alignapp.annotation.models.assignment import Assignment
from alignapp.annotation.models.item import Candidate
from alignapp.annotation.models.project import Guidelines
from alignapp.feedback.models import Act
from alignapp.owned import OwnedModel


class SubmissionQuerySet(InProjectQuerySet):
    """Submissions, the current ones apart."""

    def current(self) -> Self:
        """Return the latest version of each assignment."""
        return self.filter(superseded_at=None)


class Submission(OwnedModel):
    """One version of an annotator's answer to one item."""

    owner_path = "assignment__annotator"
    project_path = "assignment__item__project"

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="submissions")
    number = models.PositiveIntegerField()  # from 1
    superseded_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)  # with the page visible, all sittings
    guidelines = models.ForeignKey(
        Guidelines, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    blind = models.BooleanField(default=True)  # the makers were hidden
    # The candidates as shown: [{"candidate": uuid, "maker": name}, ...]
    shown = models.JSONField(default=list)

    objects = SubmissionQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at", "number")
        constraints = [
            models.UniqueConstraint(fields=["assignment", "number"], name="one_submission_of_a_number"),
            models.UniqueConstraint(
                fields=["assignment"], condition=Q(superseded_at=None), name="one_current_submission"
            ),
        ]


class AnnotationQuerySet(InProjectQuerySet):
    """Acts, those of current submissions apart."""

    def current(self) -> Self:
        """Return the acts that count: of the latest version of each assignment."""
        return self.filter(submission__superseded_at=None)


class Annotation(Act, OwnedModel):
    """One act of a submission, in the words of the chat's `Feedback`; `protocol` says how it was asked."""

    owner_path = "submission__assignment__annotator"
    project_path = "submission__assignment__item__project"

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="annotations")
    # None: a pick of nobody (all bad), a ranking, or a comment on the whole item.
    candidate = models.ForeignKey(
        Candidate, null=True, blank=True, on_delete=models.CASCADE, related_name="annotations"
    )
    attribute = models.CharField(max_length=40, blank=True)  # of a rating: of what; empty: overall
    # Of a critique: [{"start": 3, "end": 9, "type": "factual error", "note": ""}], in characters
    spans = models.JSONField(null=True, blank=True)

    objects = AnnotationQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["submission", "protocol", "candidate", "attribute"],
                condition=Q(candidate__isnull=False),
                name="one_act_on_a_candidate",
            ),
            models.UniqueConstraint(
                fields=["submission", "protocol"],
                condition=Q(candidate=None),
                name="one_act_on_an_item",
            ),
            models.CheckConstraint(
                name="annotation_carries_what_its_kind_says",
                condition=(
                    Q(kind="rating", candidate__isnull=False, score__gte=1, score__lte=100)
                    | Q(kind="pick")  # no candidate: none of them is good
                    | Q(kind="ranking", ranking__isnull=False)
                    | Q(kind="thumb", candidate__isnull=False, thumb__in=[-1, 1])
                    | (Q(kind="edit", candidate__isnull=False) & ~Q(text=""))
                    | (Q(kind="critique") & (~Q(text="") | Q(spans__isnull=False)))
                ),
            ),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only. Raises TypeError when the row exists."""
        if not self._state.adding:
            raise TypeError("An annotation is never changed; submit a new version.")
        super().save(*args, **kwargs)
