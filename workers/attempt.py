"""One attempt at one job: its lease, what makes it stop, and how its end is written into the row.

Knows nothing of what is done meanwhile, nor of the other attempts that a worker makes in the same batch.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError

from alignapp.adapters.models import Job
from alignapp.leased import LeaseLost
from personalization.errors import AlignError, Cancelled
from workers import shutdown
from workers.lease import Heartbeat

log = logging.getLogger(__name__)

TRACEBACK_CHARACTERS = 20_000


class Attempt:
    """A claimed job. Inside of the `with` block its lease is renewed."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.is_over = False
        self._heartbeat, self._begun = Heartbeat(job), time.monotonic()

    def check(self) -> None:
        """Raise Cancelled, LeaseLost or ShuttingDown when the attempt must end."""
        self._heartbeat.check()
        if shutdown.requested.is_set():
            raise shutdown.ShuttingDown

    def look(self) -> None:
        """End the attempt if its job was cancelled or lost while the worker is busy with another one."""
        with self.settling():
            self._heartbeat.check()

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Let what breaks inside end this attempt alone."""
        try:
            yield
        except Exception as error:
            self.settle(error)

    def settle(self, error: Exception) -> None:
        """Write how the attempt ended, once. Where that fails, the end of the lease puts the job back."""
        if self.is_over:
            return
        self.is_over = True
        try:
            self._write(error)
        except (LeaseLost, DatabaseError) as problem:
            log.warning("job %s: how it ended was not written: %s", self.job.id, problem)

    def finish(self, made: str) -> None:
        """End well; `made` says what came of it."""
        self.job.finish()
        self.is_over = True
        seconds = time.monotonic() - self._begun
        log.info("job %s made %s in %.0f s", self.job.id, made, seconds)

    def _write(self, error: Exception) -> None:
        job = self.job
        match error:
            case LeaseLost() | Job.DoesNotExist():
                log.warning("job %s: %s", job.id, error)
            case Cancelled():
                job.stop()
            case shutdown.ShuttingDown():
                job.release()
            case AlignError():
                job.fail(str(error), retryable=error.retryable, traceback=where_it_broke(error))
            case _:
                log.error("job %s failed", job.id, exc_info=error)
                job.fail(f"{type(error).__name__}: {error}", traceback=where_it_broke(error))

    def __enter__(self) -> Attempt:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._heartbeat.__exit__(*exception)


def where_it_broke(error: Exception) -> str:
    """Return the traceback without messages, which may quote a person: kinds of errors, files, lines."""
    parts = []
    cause: BaseException | None = error
    while cause is not None:
        frames = traceback.extract_tb(cause.__traceback__)
        lines = [f"  {_short(f.filename)}:{f.lineno} in {f.name}\n    {f.line}" for f in frames]
        parts.append("\n".join([*lines, type(cause).__name__]))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n\nbecause of\n\n".join(parts)[:TRACEBACK_CHARACTERS]


def _short(path: str) -> str:
    """Return a file's path within the program or its package, without where that is installed."""
    inside = path.partition("/site-packages/")[2]
    return inside or path.removeprefix(f"{settings.BASE_DIR}/")
