"""A number over time, kept by the minute, the hour and the day.

Knows nothing of what is measured. A count adds up over a longer period, a level is averaged; both keep what
that needs, and a distribution keeps a histogram, from which any quantile can be read at any period.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import models


class Measure(models.Model):
    """One number of one period that begins at `at`."""

    class Period(models.TextChoices):
        MINUTE = "minute", "Minute"
        HOUR = "hour", "Hour"
        DAY = "day", "Day"

    LENGTH = {
        Period.MINUTE: timedelta(minutes=1),
        Period.HOUR: timedelta(hours=1),
        Period.DAY: timedelta(days=1),
    }

    name = models.CharField(max_length=60)
    period = models.CharField(max_length=6, choices=Period)
    at = models.DateTimeField()
    total = models.FloatField()
    samples = models.PositiveIntegerField(default=1)  # how many were added up
    most = models.FloatField()
    histogram = models.JSONField(default=dict, blank=True)  # {"3": 12}: how many fell into bucket 3

    class Meta:
        ordering = ("name", "at")
        constraints = [
            models.UniqueConstraint(fields=["name", "period", "at"], name="one_measure_per_period")
        ]
        indexes = [models.Index(fields=["period", "at"], name="measure_by_time")]

    def __str__(self) -> str:
        return f"{self.name} of {self.period} {self.at:%Y-%m-%d %H:%M}"

    @property
    def mean(self) -> float:
        """The average of what was added up."""
        return self.total / self.samples if self.samples else 0.0
