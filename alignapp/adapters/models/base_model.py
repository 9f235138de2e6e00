"""The base models that are known: what was checked of each, and to which one people are moved."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from alignapp.leased import NOBODY, LeasedModel


class KnownModel(LeasedModel):
    """One base model: where it comes from, what a worker found when it checked it, whether people are on it.

    What a worker loads is its ALIGN_MODEL; a row only records. `facts` holds what
    `personalization.models.vetting.facts_of` returns and "caches", what is kept for the model in words;
    `checks` [{"name", "ok", "words"}] in their order.
    """

    class State(models.TextChoices):
        NEW = "new", "Not checked"
        QUEUED = "queued", "Waits for its check"
        RUNNING = "running", "Being checked"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"

    OPEN = (State.QUEUED, State.RUNNING)
    MAX_ATTEMPTS = 2

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    spec = models.CharField(max_length=300)  # as ALIGN_MODEL: "embedded", a folder, a hub id
    name = models.CharField(max_length=120)
    licence = models.CharField(max_length=100, blank=True)  # as its card says, or whoever added it
    revision = models.CharField(max_length=80, blank=True)  # as artifacts name it; empty before a check
    content_hash = models.CharField(max_length=64, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    checks = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.NEW)
    progress = models.FloatField(default=0.0)  # 0 to 1
    reason = models.TextField(blank=True)  # why the check failed
    added_by = models.CharField(max_length=40)  # a pseudonym, "terminal" or "worker"
    is_default = models.BooleanField(default=False)  # people's alignments are made of artifacts for it
    moving = models.BooleanField(default=False)  # and some of them are not yet
    checked_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["revision"], condition=~Q(revision=""), name="one_model_of_a_revision"
            ),
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_model"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def claim(cls, known_id: uuid.UUID | str, owner: str) -> KnownModel | None:
        """Take a check that waits, for the length of a lease; None when it is not there to be taken."""
        taken = cls.objects.filter(pk=known_id, state=cls.State.QUEUED).update(
            attempts=F("attempts") + 1, checks=[], progress=0.0, **cls.held_by(owner)
        )
        return cls.objects.get(pk=known_id) if taken else None

    @classmethod
    def rescue(cls) -> list[KnownModel]:
        """Put checks back whose worker is gone, the last attempt to its end; return those that wait."""
        gone = cls.objects.filter(state=cls.State.RUNNING, lease_until__lt=timezone.now())
        gone.filter(attempts__gte=cls.MAX_ATTEMPTS).update(
            state=cls.State.FAILED, reason="The worker died each time. Its log may say why.", **NOBODY
        )
        gone.update(state=cls.State.QUEUED, **NOBODY)
        return list(cls.objects.filter(state=cls.State.QUEUED))

    def report(self, progress: float, checks: list[dict[str, Any]]) -> None:
        """Say how far the check is and keep the lease. Raises LeaseLost."""
        self._change(progress=min(max(progress, 0.0), 1.0), checks=checks, **self.held_by(self.lease_owner))

    def end(self, reason: str, **found: Any) -> None:
        """End the check: failed for a reason, or passed. Raises LeaseLost."""
        state = self.State.FAILED if reason else self.State.PASSED
        self._change(state=state, reason=reason, progress=1.0, checked_at=timezone.now(), **NOBODY, **found)

    def give_back(self) -> None:
        """Let another worker begin the check anew; this attempt is not counted. Raises LeaseLost."""
        self._change(state=self.State.QUEUED, attempts=max(self.attempts - 1, 0), **NOBODY)
