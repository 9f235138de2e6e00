"""Measure what the panel shows over time: by the minute, rolled up to hours and days.

Counts are taken from rows by the time they ended, so that a pause of the housekeeping loses none of them (up
to a day is caught up); levels are what they are at the moment. Knows nothing of pages.
"""

from __future__ import annotations

import bisect
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Q, Sum
from django.db.models.functions import TruncMinute
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.adapters import dispatch
from alignapp.adapters.models import Alignment, Artifact, Job, ReportCard
from alignapp.chat.models import Reply
from alignapp.panel.models import Measure, Worker

Period = Measure.Period
ONE = timedelta(minutes=1)
COUNTED = ("replies", "tokens", "jobs_ended_done", "jobs_ended_dead", "gate_failures")
CAUGHT_UP = timedelta(days=1)
KEPT = {Period.MINUTE: timedelta(days=2), Period.HOUR: timedelta(days=62)}  # days are kept for ever
STALE = timedelta(minutes=5)
DAMAGED = "artifacts_damaged"  # whose files were changed or are missing, whatever their state
# Levels that are counted over whole tables.
WHOLE = {
    "people",
    "people_aligned",
    *(f"jobs_{state}" for state in Job.ENDED),
    *(f"artifacts_{state}" for state in Artifact.State.values),
    DAMAGED,
}
PARTS = {Period.HOUR: Period.MINUTE, Period.DAY: Period.HOUR}  # what a longer period is made of
GONE = timedelta(days=1)  # a worker that is silent for so long is not listed any more
FIRST_TOKEN = "first_token_ms"  # noqa: S105 - no secret
# The upper ends of a histogram's buckets, in ms, each a quarter above the one before; the last has none.
EDGES = [round(10 * 1.25**i) for i in range(45)]


def measure(now: datetime | None = None) -> None:
    """Measure every minute that has ended and was not measured yet, then roll up and forget the oldest."""
    now = now or timezone.now()
    this_minute = now.replace(second=0, microsecond=0)
    last = Measure.objects.filter(period=Period.MINUTE).aggregate(last=Max("at"))["last"]
    minute = max(last + ONE if last else this_minute - ONE, this_minute - CAUGHT_UP)
    if minute < this_minute:
        rows = _counts(minute, this_minute)
        found = _counted() | _moving(now)
        rows += [_row(name, this_minute - ONE, value) for name, value in found.items()]
        Measure.objects.bulk_create(rows, ignore_conflicts=True)
    for period in (Period.HOUR, Period.DAY):
        roll_up(period, now)
    Worker.objects.filter(seen_at__lt=now - GONE).delete()
    for period, kept in KEPT.items():
        Measure.objects.filter(period=period, at__lt=now - kept).delete()


def levels(now: datetime) -> dict[str, float]:
    """Return how much there is of everything: what waits and runs at this moment, the rest as last measured.

    People, artifacts and jobs that ended are counted over whole tables, which takes half a second where
    there are millions: by the minute, and now only where nothing was measured for STALE. At most eleven
    queries.
    """
    return _measured(now) or _counted() | _moving(now)


def _measured(now: datetime) -> dict[str, float]:
    """Return the same where the last minutes were measured, else nothing."""
    recent = Measure.objects.filter(period=Period.MINUTE, at__gte=now - STALE, name__in=WHOLE).order_by("at")
    known = {row.name: row.total for row in recent}
    return known | _moving(now) if known.keys() >= WHOLE else {}


def _counted() -> dict[str, float]:
    """Count over whole tables. Five queries."""
    shaped = Q()
    for part in Artifact.Kind.values:
        shaped |= Q(**{f"current__{part}__isnull": False})
    ended = Job.objects.filter(state__in=Job.ENDED).order_by()
    jobs = dict(ended.values_list("state").annotate(n=Count("*")))  # a count of ids would read the rows
    artifacts = dict(Artifact.objects.order_by().values_list("state").annotate(n=Count("*")))
    return {
        "people": Person.objects.count(),
        "people_aligned": Alignment.objects.filter(shaped).count(),
        **{f"jobs_{state}": jobs.get(state, 0) for state in Job.ENDED},
        **{f"artifacts_{state}": artifacts.get(state, 0) for state in Artifact.State.values},
        DAMAGED: Artifact.objects.damaged().count(),
    }


def _moving(now: datetime) -> dict[str, float]:
    """Count what waits and runs. Five queries, each on an index of those alone."""
    disk = shutil.disk_usage(settings.VAR_DIR)
    moving = [state for state in Job.State.values if state not in Job.ENDED]
    open_jobs = Job.objects.filter(state__in=moving).order_by()
    jobs = dict(open_jobs.values_list("state").annotate(n=Count("*")))
    oldest = Job.objects.filter(state=Job.State.QUEUED).aggregate(at=Min("created_at"))["at"]
    alive = list(Worker.alive())
    return {
        **{f"jobs_{state}": jobs.get(state, 0) for state in moving},
        "oldest_job_seconds": (now - oldest).total_seconds() if oldest else 0,
        "replies_waiting": Reply.objects.filter(status=Reply.Status.QUEUED).count(),
        **{f"queue_{name}": depth for name, depth in dispatch.messages_by_queue().items()},
        "workers": len(alive),
        "resident": sum(len(worker.resident) for worker in alive),
        "disk_used_percent": 100 * disk.used / disk.total,
    }


def roll_up(period: str, now: datetime) -> None:
    """Make the rows of every period of this length that has ended and was not made yet."""
    length, part = Measure.LENGTH[Period(period)], PARTS[Period(period)]
    last = Measure.objects.filter(period=period).aggregate(last=Max("at"))["last"]
    first = Measure.objects.filter(period=part).aggregate(first=Min("at"))["first"]
    if first is None:
        return
    begin = last + length if last else _begin_of(period, first)
    while begin + length <= now:
        parts = Measure.objects.filter(period=part, at__gte=begin, at__lt=begin + length)
        Measure.objects.bulk_create(_added_up(parts, period, begin), ignore_conflicts=True)
        begin += length


def quantile(histogram: Mapping[str, int], share: float) -> float | None:
    """Return the value below which this share lies, within a bucket of 25 %; None without any."""
    total, below = sum(histogram.values()), 0.0
    for bucket in sorted(map(int, histogram)):
        count = histogram[str(bucket)]
        if below + count >= share * total:
            low = EDGES[bucket - 1] if bucket else 0
            high = EDGES[bucket] if bucket < len(EDGES) else low
            return low + (high - low) * (share * total - below) / count
        below += count
    return None


def totals() -> dict[str, Measure]:
    """Return everything that was ever counted, by name: days, then hours, then minutes after those."""
    rows: list[Measure] = []
    after = None
    counted = Measure.objects.filter(name__in=(*COUNTED, FIRST_TOKEN))  # a level adds up to nothing
    for period in (Period.DAY, Period.HOUR, Period.MINUTE):
        of_period = counted.filter(period=period, **({"at__gte": after} if after else {}))
        sums = of_period.filter(name__in=COUNTED).order_by().values("name")
        for row in sums.annotate(t=Sum("total"), n=Sum("samples"), m=Max("most")):
            rows.append(Measure(name=row["name"], total=row["t"], samples=row["n"], most=row["m"]))
        rows += of_period.filter(name=FIRST_TOKEN)  # histograms, which a database does not add up
        if last := of_period.aggregate(last=Max("at"))["last"]:
            after = last + Measure.LENGTH[period]
    return {row.name: row for row in _added_up(rows, Period.DAY, timezone.now())}


def _counts(first: datetime, end: datetime) -> list[Measure]:
    """Return what ended in each minute from `first` until before `end`. Four queries."""
    minutes = [first + i * ONE for i in range((end - first) // ONE)]
    found = {(name, at): _row(name, at, 0) for name in (*COUNTED, FIRST_TOKEN) for at in minutes}
    ended = {"finished_at__gte": first, "finished_at__lt": end}

    def add(name: str, at: datetime, value: float) -> None:
        found[name, at].total += value
        found[name, at].most = found[name, at].total

    replies: Any = Reply.objects.filter(**ended).order_by().values(minute=TruncMinute("finished_at"))
    for at, count, tokens in replies.annotate(n=Count("pk"), t=Sum("token_count")).values_list(
        "minute", "n", "t"
    ):
        add("replies", at, count)
        add("tokens", at, tokens or 0)
    waited = replies.exclude(first_token_ms=None).values_list("minute", "first_token_ms")
    for at, ms in waited.iterator():
        add(FIRST_TOKEN, at, ms)
        bucket, histogram = str(bisect.bisect_left(EDGES, ms)), found[FIRST_TOKEN, at].histogram
        histogram[bucket] = histogram.get(bucket, 0) + 1
    jobs = Job.objects.filter(**ended, state__in=(Job.State.DONE, Job.State.DEAD)).order_by()
    by_state = jobs.values("state", minute=TruncMinute("finished_at")).annotate(n=Count("pk"))
    for state, at, count in by_state.values_list("state", "minute", "n"):
        add(f"jobs_ended_{state}", at, count)
    # Not what an operator took out of service; but also what was refused when it was proven again.
    judged = {"proved_at__gte": first, "proved_at__lt": end}
    out = ReportCard.objects.filter(artifact__state=Artifact.State.QUARANTINED, **judged).order_by()
    refused = out.exclude(results__safety__objection="")
    by_minute = refused.values(minute=TruncMinute("proved_at")).annotate(n=Count("pk"))
    for at, count in by_minute.values_list("minute", "n"):
        add("gate_failures", at, count)
    return list(found.values())


def _row(name: str, at: datetime, value: float) -> Measure:
    return Measure(name=name, period=Period.MINUTE, at=at, total=value, samples=1, most=value, histogram={})


def _added_up(parts: Iterable[Measure], period: str, at: datetime) -> list[Measure]:
    found: dict[str, Measure] = {}
    for part in parts:
        row: Any = found.get(part.name)
        if row is None:
            found[part.name] = row = Measure(
                name=part.name, period=period, at=at, total=0.0, samples=0, most=part.most, histogram={}
            )
        row.total, row.samples, row.most = (
            row.total + part.total,
            row.samples + part.samples,
            max(row.most, part.most),
        )
        for bucket, count in part.histogram.items():
            row.histogram[bucket] = row.histogram.get(bucket, 0) + count
    return list(found.values())


def _begin_of(period: str, at: datetime) -> datetime:
    at = at.replace(minute=0, second=0, microsecond=0)
    return at.replace(hour=0) if period == Period.DAY else at
