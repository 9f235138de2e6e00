"""What the queue looks like while the load runs: sampled twice a second from the rows and the broker."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any

from django.db import connection
from django.db.models import Count

from alignapp.adapters.models import Job
from alignapp.chat import streams
from alignapp.chat.models import Reply
from workers import queues

EVERY_SECONDS = 0.5


class Watch:
    """Samples from a thread of its own while the block runs."""

    def __init__(self) -> None:
        self.samples: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(EVERY_SECONDS):
                self.samples.append(sample())
        finally:
            connection.close()


def sample() -> dict[str, Any]:
    """Return how many replies and jobs wait and are worked on now, and the machine's load average."""
    waiting = Reply.objects.filter(status=Reply.Status.QUEUED).order_by()
    by_person = waiting.values_list("turn__conversation__person").annotate(n=Count("id"))
    counts = [n for _, n in by_person]
    jobs = dict(Job.objects.order_by().values_list("state").annotate(n=Count("id")))
    return {
        "at": time.time(),
        "queued": sum(counts),
        "queued_of_one": max(counts, default=0),
        "running": Reply.objects.filter(status=Reply.Status.RUNNING).count(),
        "jobs_queued": jobs.get(Job.State.QUEUED, 0),
        "jobs_running": jobs.get(Job.State.RUNNING, 0),
        "messages": int(str(streams.connection().llen(queues.GENERATE))),
        "load_average": os.getloadavg()[0],
    }
