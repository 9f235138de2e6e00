"""Run one job: claim the row, do the work, say how it ended. Running it twice trains once."""

from __future__ import annotations

import logging
import time

from django.db import DatabaseError

from alignapp.adapters.models import Job
from alignapp.adapters.models.job import LeaseLost
from personalization.errors import AlignError, Cancelled
from workers import pipeline, shutdown
from workers.app import app
from workers.lease import Heartbeat, new_owner

log = logging.getLogger(__name__)


@app.task(name="workers.run_job")
def run_job(job_id: str) -> None:
    """Learn and prove what the job asks for, if nobody else does."""
    job = Job.claim(job_id, new_owner())
    if job is None:
        log.info("job %s is not waiting; nothing to do", job_id)
        return
    begun = time.monotonic()
    try:
        with Heartbeat(job) as heartbeat:
            artifact = pipeline.run(job, _checks(heartbeat))
        job.finish()
        log.info("job %s made %s in %.0f s", job.id, artifact.state, time.monotonic() - begun)
    except (LeaseLost, Job.DoesNotExist) as lost:
        log.warning("job %s: %s", job.id, lost)
    except Cancelled:
        job.stop()
    except shutdown.ShuttingDown:
        job.release()
    except AlignError as error:
        job.fail(str(error), retryable=error.retryable)
    except (OSError, RuntimeError, ValueError, ArithmeticError, LookupError, DatabaseError) as error:
        log.exception("job %s failed", job.id)
        job.fail(f"{type(error).__name__}: {error}")


def _checks(heartbeat: Heartbeat):
    def check() -> None:
        heartbeat.check()
        if shutdown.requested.is_set():
            raise shutdown.ShuttingDown

    return check
