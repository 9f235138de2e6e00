"""A study: what a project's answers teach a group's adapter and each person's own, on one held-out split.

Whose is what: a person's own adapter belongs to that person, as everything else that was learned from them
alone. The group's belongs to nobody who can sign in: an account of the study holds it, so that no chat can be
shaped by it and no page lists it, and it goes as a whole when one of those in it takes their consent back.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from alignapp.adapters.models import Job
from alignapp.annotation.access import InProjectQuerySet
from alignapp.annotation.models import Project
from alignapp.owned import OwnedModel

# {key of a pair: [conversation, is base right, is the adapter right]}; right is 1, 0, or 0.5 for a tie
Scores = dict[str, list[Any]]


class Study(OwnedModel):
    """One round of training from a project's answers; its jobs share a split by item, and so a comparison."""

    owner_path = "project__owner"
    project_path = "project"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="studies")
    method = models.CharField(max_length=40)
    # {"seed": 0, "train": [conversations], "held_out": [conversations]}; set once, by its first job
    split = models.JSONField(default=dict, blank=True)
    # What was trained on, counted when it began: {"items": 40, "left_out": 2, "licences": {"CC-BY": 40}}
    counts = models.JSONField(default=dict, blank=True)
    # The account that holds the group's adapter; none once that was erased.
    group = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="group_of"
    )
    group_job = models.OneToOneField(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="study"
    )
    # Somebody whose answers were in it took their consent back: nothing of the group is left.
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return f"{self.method} study {str(self.id)[:8]}"

    def jobs(self) -> models.QuerySet[Job]:
        """Return the group's job and those of its people."""
        return Job.objects.filter(models.Q(study=self) | models.Q(arm__study=self))

    @property
    def is_open(self) -> bool:
        """Whether any of its jobs waits or runs. One query."""
        return self.jobs().exclude(state__in=Job.ENDED).exists()


class Arm(OwnedModel):
    """One person in a study: their job, where they answered enough for one of their own, and scores."""

    project_path = "study__project"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="arms")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="arms")
    job = models.OneToOneField(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="arm")
    comparisons = models.PositiveIntegerField(default=0)  # of this person, when it began
    # On this person's held-out comparisons, which neither adapter saw (`Scores`).
    group_scores = models.JSONField(default=dict, blank=True)
    own_scores = models.JSONField(default=dict, blank=True)

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at", "id")
        verbose_name, verbose_name_plural = "place in a study", "places in studies"
        constraints = [models.UniqueConstraint(fields=["study", "person"], name="one_arm_of_a_person")]
