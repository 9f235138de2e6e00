"""What a method's jobs took here: what they learned from, how long, how much memory. For a preset's dry run.

Knows nothing of training and starts nothing: everything is read from jobs that have ended.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from alignapp.adapters.models import Job

LATEST = 200  # jobs that are read
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Span:
    """The middle of several numbers and what nine of ten stay below; `n` of them."""

    middle: float
    most: float
    n: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """What to expect of a job with some parameters, from the jobs of the method that ended well.

    `same` of the `jobs` had exactly these parameters: where any had, the rest is read from them alone.
    `pairs` and `memory_bytes` are None where no report card says them.
    """

    jobs: int
    same: int
    a_week: int  # jobs of the method that were asked for within the last seven days
    failed: int  # dead jobs of the method that were not tried again
    pairs: Span | None
    minutes: Span | None
    memory_bytes: Span | None

    @property
    def minutes_a_day(self) -> float | None:
        """How long a worker is busy with the method in a day, if people go on asking as in the last week."""
        return None if self.minutes is None else self.minutes.middle * self.a_week / 7

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers, JSON-ready."""
        spans = {"pairs": self.pairs, "minutes": self.minutes, "memory_bytes": self.memory_bytes}
        return {
            "jobs": self.jobs,
            "same_parameters": self.same,
            "asked_for_in_a_week": self.a_week,
            "failed": self.failed,
            **{
                name: {"middle": span.middle, "nine_of_ten_below": span.most, "n": span.n} if span else None
                for name, span in spans.items()
            },
            "worker_minutes_a_day": self.minutes_a_day,
        }


def dry_run(method: str, parameters: Mapping[str, float]) -> DryRun:
    """Return what to expect of a job whose parameters differ by these from the method's. Three queries."""
    jobs = Job.objects.filter(method=method)
    columns = ("started_at", "finished_at", "parameters")
    card = "artifact__report_card__results"
    done = list(
        jobs.filter(state=Job.State.DONE, started_at__isnull=False, finished_at__isnull=False)
        .order_by("-finished_at")
        .values_list(*columns, f"{card}__learned_from__pairs", f"{card}__peak_bytes")[:LATEST]
    )
    same = [row for row in done if row[2] == dict(parameters)]
    used = same or done
    return DryRun(
        jobs=len(done),
        same=len(same),
        a_week=jobs.filter(created_at__gt=timezone.now() - WEEK).count(),
        failed=jobs.filter(state=Job.State.DEAD).count(),
        pairs=_span([row[3] for row in used]),
        minutes=_span([(end - begin).total_seconds() / 60 for begin, end, *_rest in used]),
        memory_bytes=_span([row[4] for row in used]),
    )


def _span(found: Sequence[Any]) -> Span | None:
    numbers = sorted(float(each) for each in found if each is not None)
    if not numbers:
        return None
    return Span(numbers[len(numbers) // 2], numbers[math.ceil(0.9 * len(numbers)) - 1], len(numbers))
