"""What a worker process says of itself every few seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

SILENT_AFTER = timedelta(seconds=45)  # three heartbeats


class Worker(models.Model):
    """The last heartbeat of one worker process, by Celery's name of it ("training@host")."""

    name = models.CharField(max_length=120, primary_key=True)
    queues = models.JSONField(default=list)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)
    device = models.CharField(
        max_length=80, blank=True
    )  # "cpu", "cuda (NVIDIA H100)"; empty: no model loaded
    memory_bytes = models.PositiveBigIntegerField(default=0)  # of the process
    device_memory_bytes = models.PositiveBigIntegerField(default=0)
    model_revision = models.CharField(max_length=80, blank=True)
    versions = models.JSONField(default=dict)  # {"torch": "2.13.0", ...}
    resident = models.JSONField(default=list)  # digests of the artifacts that its engine holds in memory

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_alive(self) -> bool:
        """Whether it was heard of lately."""
        return self.seen_at > timezone.now() - SILENT_AFTER

    @classmethod
    def alive(cls) -> models.QuerySet[Worker]:
        """Return the workers that were heard of lately."""
        return cls.objects.filter(seen_at__gt=timezone.now() - SILENT_AFTER)

    @classmethod
    def beat(cls, name: str, **fields: Any) -> None:
        """Write a heartbeat."""
        cls.objects.update_or_create(name=name, defaults={**fields, "seen_at": timezone.now()})
