"""The attempts that one worker makes at once: who waits already, who comes while others learn, who must end.

Knows nothing of what is done. A batch takes nobody in whose turn it is not: as soon as a job is next that
cannot learn in the same passes, those who are in finish, and the worker is free for it.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack

from django.conf import settings
from django.db import DatabaseError

from alignapp.adapters.models import Job
from personalization import registry
from workers import shutdown
from workers.app import HARD_LIMIT_SECONDS
from workers.attempt import Attempt
from workers.engines import base_for_process
from workers.lease import new_owner

log = logging.getLogger(__name__)

# On a CPU one person alone fills the cores, so that company only delays whoever came first.
TOGETHER_ON_CPU, TOGETHER_ON_GPU = 1, 8
LOOK_SECONDS = 1.0  # between two looks for newcomers: three queries each
# A task that Celery ends takes everybody with it; a batch that nobody joins any more ends long before.
OPEN_SECONDS = HARD_LIMIT_SECONDS / 4


class Batch:
    """A claimed job and its company. Inside of the `with` block every lease is renewed."""

    def __init__(self, first: Job) -> None:
        self.attempts: list[Attempt] = []
        self._first, self._leases = first, ExitStack()
        self._begun = self._looked = time.monotonic()

    def gather(self) -> None:
        """Take in others that wait already and learn adapters, too."""
        self._take(_most() - 1)

    def newcomers(self, learning: int) -> list[Attempt]:
        """Take in whose turn came while so many learn; nobody where too many do, or for too long."""
        now = time.monotonic()
        is_open = now - self._begun < OPEN_SECONDS and not shutdown.requested.is_set()
        if not is_open or now - self._looked < LOOK_SECONDS:
            return []
        self._looked = now
        before = len(self.attempts)
        try:
            self._take(_most() - learning, in_turn=True)
        except DatabaseError as error:  # those who learn may reach it again when they report
            log.warning("job %s: nobody joins: %s", self._first.id, error)
        return self.attempts[before:]

    def check(self, attempt: Attempt) -> None:
        """Raise what must end this attempt, and let those leave at once that wait until it is done."""
        for other in self.attempts:
            if other is not attempt:
                other.look()
        attempt.check()

    def settle(self, error: Exception) -> None:
        """End every attempt that is not over."""
        for attempt in self.attempts:
            attempt.settle(error)

    def _take(self, most: int, *, in_turn: bool = False) -> None:
        adapters = [method.name for method in registry.all_methods() if method.produces == "adapter"]
        for job in self._first.claim_company(most, new_owner, methods=adapters, in_turn=in_turn):
            self._enter(job)
            log.info("job %s learns with job %s", job.id, self._first.id)

    def _enter(self, job: Job) -> None:
        self.attempts.append(self._leases.enter_context(Attempt(job)))

    def __enter__(self) -> Batch:
        self._leases.__enter__()
        self._enter(self._first)
        return self

    def __exit__(self, *exception: object) -> None:
        self._leases.close()


def _most() -> int:
    if settings.ALIGN_TRAIN_TOGETHER > 0:
        return int(settings.ALIGN_TRAIN_TOGETHER)
    return TOGETHER_ON_CPU if base_for_process().device.type == "cpu" else TOGETHER_ON_GPU
