"""What the watch over live win rates found: a version that does worse than what it is compared with."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from alignapp.owned import OwnedModel

from .alignment import AlignmentVersion
from .artifact import Artifact


class LiveAlarm(OwnedModel):
    """One alarm for one artifact since it was switched on; the person reads it and can undo what followed."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="live_alarms")
    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="alarms")
    since = models.ForeignKey(
        AlignmentVersion, on_delete=models.CASCADE, related_name="+"
    )  # its first version
    rolled_back = models.BooleanField()  # False: it is pinned, and only told of
    back_to = models.ForeignKey(
        Artifact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # none: the base model
    # What it rests on: pairs, value, low, high, capital, level, share (`alignapp.adapters.live`).
    evidence = models.JSONField()
    read_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=["artifact", "since"], name="one_alarm_of_a_switching_on"),
            models.CheckConstraint(
                condition=Q(undone_at__isnull=True) | Q(rolled_back=True), name="undone_was_rolled_back"
            ),
        ]
        indexes = [models.Index(fields=["-created_at"], name="alarm_newest")]

    def __str__(self) -> str:
        return f"alarm for {self.artifact}"
