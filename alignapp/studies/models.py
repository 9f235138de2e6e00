"""A study: what a project's answers teach reward models, a group's adapter and each person's own.

Whose is what: a person's own adapter belongs to that person, as everything else that was learned from them
alone. The group's, and the reward models, belong to nobody who can sign in: an account of the study holds
them, so that no chat can be shaped by them and no page lists them, and they go as a whole when one of those
in them takes their consent back. So do merges of its people's own adapters (`merging`), of which members who
agreed to it can be given a version of their own (`giving`).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from alignapp.adapters.models import Artifact, Job
from alignapp.annotation.access import InProjectQuerySet
from alignapp.annotation.models import Project
from alignapp.owned import OwnedModel

# {key of a pair: [conversation, is base right, is the adapter right]}; right is 1, 0, or 0.5 for a tie
Scores = dict[str, list[Any]]
# {key of a pair: [conversation, {judge: is it right}]}, the judges of `personalization.evaluation.judges`
Judgements = dict[str, list[Any]]


class Study(OwnedModel):
    """One round of training from a project's answers; its jobs share a split by item, and so a comparison."""

    owner_path = "project__owner"
    project_path = "project"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="studies")
    method = models.CharField(max_length=40, blank=True)  # empty: reward models only, no adapters
    # {"seed": 0, "train": [conversations], "held_out": [conversations]}; set once, by its first job
    split = models.JSONField(default=dict, blank=True)
    # What was trained on, counted when it began: {"items": 40, "left_out": 2, "licences": {"CC-BY": 40}}
    counts = models.JSONField(default=dict, blank=True)
    # The account that holds the group's adapter and the reward models; none once that was erased.
    group = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="group_of"
    )
    group_job = models.OneToOneField(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="study"
    )
    reward_job = models.OneToOneField(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="reward_study"
    )
    # What the scores of its people came to, and of which scores (`report.kept`): worked out once.
    found = models.JSONField(default=dict, blank=True)
    # Somebody whose answers were in it took their consent back: nothing of the group is left.
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return f"{self.method or 'reward'} study {str(self.id)[:8]}"

    def jobs(self) -> models.QuerySet[Job]:
        """Return the group's jobs, also of merges, that of the reward models, and those of its people."""
        mine = models.Q(person__group_of=self) | models.Q(reward_study=self) | models.Q(arm__study=self)
        return Job.objects.filter(mine | models.Q(given__study=self))

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
    # The same comparisons by the reward models, and by those of the other people (`Judgements`).
    judgements = models.JSONField(default=dict, blank=True)

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at", "id")
        verbose_name, verbose_name_plural = "place in a study", "places in studies"
        constraints = [models.UniqueConstraint(fields=["study", "person"], name="one_arm_of_a_person")]


class Given(OwnedModel):
    """A merge of the group that one member is given: the job that makes a version of it for them alone.

    Whose adapters are in it is kept here, so that it goes as soon as one of them takes that back, whatever
    became of those adapters and of the group's merge.
    """

    owner_path = "job__person"
    project_path = "study__project"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="given")
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="given")
    merge = models.ForeignKey(
        Artifact, null=True, blank=True, on_delete=models.SET_NULL, related_name="given"
    )
    sources = models.ManyToManyField(Arm, related_name="given")

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at", "id")
        verbose_name, verbose_name_plural = "given merge", "given merges"


class RewardModel(OwnedModel):
    """What tells which answers a study's people prefer: a sealed folder with one head for each way.

    It judges answers and shapes none. It belongs to the study's account, and goes with it.
    """

    project_path = "study__project"

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reward_models"
    )
    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="reward")
    digest = models.CharField(max_length=64)  # the folder's name in the store
    size_bytes = models.PositiveBigIntegerField()
    model_revision = models.CharField(max_length=80)
    results = models.JSONField()  # personalization.evaluation.judges.measure, and each way's `Reward.as_dict`

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    def __str__(self) -> str:
        return f"reward model {self.digest[:12]}"

    @property
    def way(self) -> str:
        """The way that serves: the one whose held-out items inside of what it learned from were likeliest."""
        return str(self.results["serves"])

    @property
    def is_useful(self) -> bool:
        """Say whether the one that serves orders held-out answers better than chance."""
        found = self.results["judges"][self.way]["accuracy"]
        return bool(self.results["rewards"][self.way]["scale"] > 0 and found["low"] > 0.5)
