"""Rows that one worker at a time may work on, for the length of a lease.

Whoever holds a row writes to it by `_change`, one conditional UPDATE: a worker whose lease was given to
another finds out at its next write, and changes nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

NOBODY: dict[str, Any] = {"lease_owner": "", "lease_until": None}


class LeaseLost(Exception):
    """Another worker has the row now, or nobody may have it; stop without touching it."""


class LeasedModel(models.Model):
    """A row with a lease. Subclasses have a state, one of whose values means that somebody works on it."""

    lease_setting: ClassVar[str] = "JOB_LEASE_SECONDS"  # the setting that says how long a lease is
    running: ClassVar[dict[str, str]] = {"state": "running"}

    lease_owner = models.CharField(max_length=80, blank=True)  # one attempt of one worker
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @classmethod
    def held_by(cls, owner: str) -> dict[str, Any]:
        """Return the fields that give a row to `owner` for one lease from now."""
        seconds: float = getattr(settings, cls.lease_setting)
        return {
            **cls.running,
            "lease_owner": owner,
            "lease_until": timezone.now() + timedelta(seconds=seconds),
        }

    def _hold(self) -> None:
        """Keep the lease for its length from now. Raises LeaseLost."""
        self._change(**self.held_by(self.lease_owner))

    def _change(self, **fields: Any) -> None:
        """Write fields while the lease is ours. Raises LeaseLost when it is not, or the row is gone."""
        rows = type(self)._default_manager.filter(pk=self.pk, lease_owner=self.lease_owner, **self.running)
        if not rows.update(**fields):
            raise LeaseLost(f"{self} belongs to somebody else now.")
        for name, value in fields.items():
            setattr(self, name, value)
