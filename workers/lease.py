"""Keep a job's lease while the work is busy, and notice that it was cancelled or lost.

A thread renews at a third of the lease, so that a long step between two reports loses nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid

from django.conf import settings
from django.db import DatabaseError, connection

from alignapp.adapters.models import Job
from alignapp.leased import LeaseLost
from personalization.errors import Cancelled

log = logging.getLogger(__name__)


def new_owner() -> str:
    """Return a name for one attempt: host, process and a random part, so that none is used twice."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class Heartbeat:
    """Renews a lease from a thread; `check` raises in the working thread what the renewal met."""

    def __init__(self, job: Job) -> None:
        self._job, self._stop = job, threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._beat, name=f"lease-{job.pk}", daemon=True)

    def check(self) -> None:
        """Raise Cancelled or LeaseLost when the last renewal did."""
        if self._problem is not None:
            raise self._problem

    def _beat(self) -> None:
        try:
            while not self._stop.wait(settings.JOB_LEASE_SECONDS / 3):
                try:
                    Job(pk=self._job.pk, lease_owner=self._job.lease_owner).renew()
                except (Cancelled, LeaseLost) as problem:
                    self._problem = problem
                    return
                except DatabaseError as error:  # the next beat may reach the database again
                    log.warning("job %s: lease not renewed: %s", self._job.pk, error)
        finally:
            connection.close()

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
