"""An import under way, and the people whose judgements came with one. The row is the truth, as with jobs."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from alignapp.annotation.access import InProjectQuerySet
from alignapp.annotation.models import Project
from alignapp.leased import NOBODY, LeasedModel
from alignapp.owned import OwnedModel


class Import(OwnedModel, LeasedModel):
    """One file that a manager uploads to a project: looked at first, then committed by a worker."""

    project_path = "project"

    class State(models.TextChoices):
        SHOWN = "shown", "Looked at"
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        DEAD = "dead", "Failed"

    MAX_ATTEMPTS = 3
    ERRORS_KEPT = 100

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="imports")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    name = models.CharField(max_length=200)  # of the file, as uploaded
    format = models.CharField(max_length=40)
    licence = models.CharField(max_length=100, blank=True)  # of rows that name none
    may_train = models.BooleanField(default=True)  # what the importer says of them
    state = models.CharField(max_length=10, choices=State, default=State.SHOWN)
    # {"records": 3, "judgements": 9, "people": 3, "errors": 1, "is_whole": true,
    #  "first": [{"line": 1, "prompt": ...}], "list": [[line, words], ...]}
    preview = models.JSONField(default=dict, blank=True)
    progress = models.FloatField(default=0.0)  # 0 to 1, of the file's bytes
    counts = models.JSONField(
        default=dict, blank=True
    )  # {"new": 1, "known": 2, "judgements": 3, "errors": 0}
    errors = models.JSONField(default=list, blank=True)  # the first of them: [[line, words], ...]
    reason = models.TextField(blank=True)  # why it is dead
    attempts = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                condition=Q(progress__gte=0, progress__lte=1), name="import_progress_range"
            ),
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(state__in=["queued", "running"]),
                name="one_import_of_a_project_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """Where the uploaded file lies until the import has ended."""
        return Path(settings.UPLOAD_DIR) / str(self.id)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (self.State.DONE, self.State.DEAD)

    @classmethod
    def claim(cls, import_id: uuid.UUID | str, owner: str) -> Import | None:
        """Take a queued import for the length of a lease; None when it is not there to be taken."""
        waiting = cls.objects.filter(pk=import_id, state=cls.State.QUEUED)
        taken = waiting.update(attempts=F("attempts") + 1, **cls.held_by(owner))
        return cls.objects.select_related("project").get(pk=import_id) if taken else None

    def report(self, progress: float, counts: dict[str, int]) -> None:
        """Say how far it is, and keep the lease. Raises LeaseLost."""
        self._change(progress=min(max(progress, 0.0), 1.0), counts=counts, **self.held_by(self.lease_owner))

    def finish(self, counts: dict[str, int], errors: list[tuple[int, str]]) -> None:
        """End well, and remove the file."""
        self._end(self.State.DONE, progress=1.0, counts=counts, errors=sorted(errors))

    def fail(self, reason: str) -> None:
        """Put it back for another attempt; the last one ends it, with the reason."""
        if self.attempts < self.MAX_ATTEMPTS:
            self._change(state=self.State.QUEUED, reason=reason, **NOBODY)
        else:
            self._end(self.State.DEAD, reason=reason)

    def _end(self, state: str, **fields: Any) -> None:
        self._change(state=state, finished_at=timezone.now(), **NOBODY, **fields)
        self.path.unlink(missing_ok=True)


class ImportedPerson(OwnedModel):
    """Whom a file names as the author of judgements: an account of the project that nobody signs in with."""

    owner_path = "project__owner"
    project_path = "project"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imported_people")
    name = models.CharField(max_length=200)  # as the file says it
    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="imported_as"
    )

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_imported_person_of_a_name")
        ]

    def __str__(self) -> str:
        return self.name
