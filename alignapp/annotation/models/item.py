"""What is judged: items with their candidates. Knows nothing of who judges them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from alignapp.annotation.access import InProjectQuerySet
from alignapp.annotation.models.project import Project
from alignapp.owned import OwnedModel


class Item(OwnedModel):
    """A prompt or a conversation, to be judged by `wanted` people; `taken` counts who did or is about to."""

    owner_path = "project__owner"
    project_path = "project"

    class Purpose(models.TextChoices):
        ORDINARY = "ordinary", "Ordinary"
        GOLD = "gold", "Gold"  # its right answer is known; nobody sees which ones are
        ATTENTION = "attention", "Attention check"  # its text says what to answer

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items")
    key = models.CharField(max_length=200)  # unique in the project: the same row imported twice is one
    # [{"role": "system" | "user" | "assistant", "content": ...}], up to the message that is answered
    messages = models.JSONField(default=list)
    language = models.CharField(max_length=35, blank=True)  # BCP 47
    source = models.CharField(max_length=200, blank=True)  # where it comes from
    licence = models.CharField(max_length=100, blank=True)
    may_train = models.BooleanField(default=True)  # False: never exported for training
    purpose = models.CharField(max_length=10, choices=Purpose, default=Purpose.ORDINARY)
    # Of gold and attention items, by protocol what a right answer is: {"pick-1-of-n": {"best": [key, ...]}}
    expected = models.JSONField(default=dict, blank=True)
    extra = models.JSONField(default=dict, blank=True)  # what a format had besides, for the way back
    # How many people judge it. Gold and attention items are for everybody and do not count.
    wanted = models.PositiveSmallIntegerField(default=1)
    taken = models.PositiveSmallIntegerField(default=0)
    is_ready = models.BooleanField(default=True)  # False while its candidates are being written

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="one_item_of_a_key"),
            models.CheckConstraint(name="item_is_never_over_assigned", condition=Q(taken__lte=F("wanted"))),
        ]
        indexes = [
            models.Index(fields=["project", "created_at", "id"], name="item_in_order"),  # lists and exports
            # Few at any time, and looked for at every sweep.
            models.Index(fields=["project"], name="item_to_be_written", condition=Q(is_ready=False)),
            models.Index(
                fields=["project", "taken"],
                name="item_to_be_claimed",
                condition=Q(purpose="ordinary", is_ready=True, taken__lt=F("wanted")),
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def prompt(self) -> str:
        """Return the message that the candidates answer."""
        return str(self.messages[-1]["content"]) if self.messages else ""


class Candidate(OwnedModel):
    """One answer of an item. Shown in the order of the assignment, not by `position`."""

    owner_path = "item__project__owner"
    project_path = "item__project"

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="candidates")
    position = models.PositiveSmallIntegerField()  # where it stood in its source, from 0
    text = models.TextField(blank=True)
    maker = models.CharField(max_length=200, blank=True)  # the model's name; never shown while blind
    provider = models.CharField(max_length=200, blank=True)
    # What shaped an answer of ours: system message, interventions, sampling, model revision.
    composition = models.JSONField(default=dict, blank=True)
    extra = models.JSONField(default=dict, blank=True)
    # The engine writes it as any other reply; its text comes here when it has ended.
    reply = models.ForeignKey(
        "chat.Reply", null=True, blank=True, on_delete=models.SET_NULL, related_name="candidates"
    )

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["item", "position"], name="one_candidate_of_a_position")
        ]
