"""What the rows and the logs say afterwards: everything once, nothing lost.

The workers' logs say who wrote which reply and who made which job's artifact; the rows say what is there.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from django.db.models import Count

from alignapp.adapters.models import Artifact, Job
from alignapp.chat import streams
from alignapp.chat.models import Reply, Turn
from alignapp.feedback.models import Feedback
from benchmarks.load.place import HOSTS

WRITTEN = re.compile(r"reply ([0-9a-f-]{36}) (?:done|stopped|failed), \d+ tokens")
MADE = re.compile(r"job ([0-9a-f-]{36}) made ")
FAULT = re.compile(r"\b(?:ERROR|CRITICAL)\b|^Traceback")


def wait_for_replies(seconds: float) -> None:
    """Wait until no reply is open, for so many seconds at most."""
    _wait(lambda: not Reply.objects.exclude(status__in=Reply.ENDED).exists(), seconds)


def wait_for_jobs(seconds: float) -> None:
    """Let running jobs end, for so many seconds at most; those that only waited are cancelled."""
    for job in Job.objects.filter(state=Job.State.QUEUED):
        job.cancel()
    _wait(lambda: not Job.objects.filter(state=Job.State.RUNNING).exists(), seconds)
    for job in Job.objects.exclude(state__in=Job.ENDED):
        job.cancel()


def _wait(until: Callable[[], bool], seconds: float) -> None:
    last = time.monotonic() + seconds
    while not until() and time.monotonic() < last:
        time.sleep(0.5)


def logged(logs: Path, service: str, pattern: re.Pattern[str]) -> dict[str, Counter[str]]:
    """Return how often each id stands in the log of this service, by host."""
    return {
        host: Counter(pattern.findall((logs / f"{service}-{host}.log").read_text(errors="replace")))
        for host in HOSTS
    }


def faults(logs: Path) -> list[str]:
    """Return what the logs call an error, with the file's name."""
    return [
        f"{log.stem}: {line}"
        for log in sorted(logs.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if FAULT.search(line)
    ]


def verify(logs: Path, rows: Iterable[Mapping[str, Any]], begun: float) -> dict[str, Any]:
    """Return what was counted; `rows` are the users' measurements, `begun` is when they came (since 1970)."""
    rows = list(rows)
    return {
        "replies": _replies(logs, begun),
        "jobs": _jobs(logs),
        "feedback": _kept(Feedback, [row["feedback"] for row in rows if "feedback" in row]),
        "turns": _kept(Turn, sorted({row["turn"] for row in rows if "turn" in row})),
        "faults": faults(logs),
    }


def _replies(logs: Path, begun: float) -> dict[str, Any]:
    by_host = logged(logs, "generation", WRITTEN)
    times = sum(by_host.values(), Counter())
    asked = [reply for reply in Reply.objects.all() if reply.created_at.timestamp() >= begun]
    done = [reply for reply in asked if reply.status == Reply.Status.DONE]
    return {
        "written": len(times),
        "by_host": {host: len(found) for host, found in by_host.items()},
        "twice": sum(n > 1 for n in times.values()),
        "kept": len(asked),
        "done": len(done),
        "done_but_by_nobody": sum(str(reply.id) not in times for reply in done),
        "other_text_than_streamed": sum(not _is_as_streamed(reply) for reply in done),
        "failed": sum(reply.status == Reply.Status.FAILED for reply in asked),
        "open": sum(not reply.has_ended for reply in asked),
    }


def _is_as_streamed(reply: Reply) -> bool:
    """Say whether what was streamed is the row's text, ended once and never begun anew."""
    entries: Any = streams.connection().xrange(f"reply:{reply.id}")
    names = Counter(fields["event"] for _, fields in entries)
    text = "".join(json.loads(f["data"])["text"] for _, f in entries if f["event"] == "token")
    return names["done"] == 1 and names["restart"] == 0 and text == reply.text


def waits(heavy: str, since: float) -> dict[str, list[float]]:
    """Return for how many seconds replies waited for a worker: of the one with this pseudonym, and of others.

    Replies asked for from `since` on (seconds since 1970), of those that nothing learned shapes: others may
    wait for the safety gate besides.
    """
    found: dict[str, list[float]] = {"heavy": [], "light": []}
    rows = Reply.objects.filter(status=Reply.Status.DONE, interventions=[]).order_by("created_at")
    for reply in rows.select_related("turn__conversation__person"):
        if reply.finished_at and reply.created_at.timestamp() >= since:
            whole = (reply.finished_at - reply.created_at).total_seconds()
            whose = "heavy" if reply.turn.conversation.person.pseudonym == heavy else "light"
            found[whose].append(max(0.0, whole - (reply.duration_ms or 0) / 1000))
    return found


def _jobs(logs: Path) -> dict[str, Any]:
    by_host = logged(logs, "training", MADE)
    times = sum(by_host.values(), Counter())
    states = dict(Job.objects.order_by().values_list("state").annotate(n=Count("id")))
    per_job = Artifact.objects.order_by().values_list("job").annotate(n=Count("id"))
    return {
        "states": states,
        "by_host": {host: len(found) for host, found in by_host.items()},
        "twice": sum(n > 1 for n in times.values()) + sum(n > 1 for _, n in per_job),
        "tried_again": Job.objects.filter(attempts__gt=1).count(),
    }


def _kept(model: type[Feedback] | type[Turn], ids: list[str]) -> dict[str, int]:
    """Return how many of the rows that somebody was told of are not there."""
    return {"told": len(ids), "lost": len(set(ids)) - model.objects.filter(id__in=ids).count()}
