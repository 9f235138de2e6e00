"""Take a job, and others that can learn in the same passes, and say how each ended.

Running a job twice trains once: whoever was gathered into another's batch is found taken, or ended, when the
message that names it comes.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack

from django.conf import settings

from alignapp.adapters.merging import METHOD
from alignapp.adapters.models import Job
from alignapp.studies.services import REWARD
from personalization import registry
from workers import merging, pipeline, rewarding
from workers.app import app
from workers.attempt import Attempt
from workers.engines import base_for_process
from workers.lease import new_owner

log = logging.getLogger(__name__)

# Jobs that are no learning method of the registry.
ALONE = {METHOD: merging.run, REWARD: rewarding.run}

# On a CPU one person alone fills the cores, so that company only delays whoever came first.
TOGETHER_ON_CPU, TOGETHER_ON_GPU = 1, 8


@app.task(name="workers.run_job")
def run_job(job_id: str) -> None:
    """Learn and prove what the job whose turn it is asks for, together with others that wait.

    There is a message for each job that waits, so that each finds one; who comes next the rows say.
    """
    _run(_claimed(job_id))


@app.task(name="workers.run_job_for_other_base")
def run_job_for_other_base(job_id: str) -> None:
    """The same, for jobs that ask for the base model of this process, which does not answer yet."""
    _run(_claimed(job_id, base_for_process().revision))


def _run(job: Job | None) -> None:
    if job is None:
        log.info("woken for a job, and none waits")
        return
    with ExitStack() as leases:
        attempts = [leases.enter_context(Attempt(job))]
        try:
            if (alone := ALONE.get(job.method)) is not None:
                alone(attempts[0])
                return
            if registry.get(job.method).produces == "adapter":
                for other in job.claim_company(_most() - 1, new_owner):
                    attempts.append(leases.enter_context(Attempt(other)))
                    log.info("job %s learns with job %s", other.id, job.id)
            pipeline.run(attempts)
        except Exception as error:
            for attempt in attempts:
                attempt.settle(error)


def _claimed(job_id: str, base_revision: str = "") -> Job | None:
    """Take the next job; where another worker was faster, the one after it."""
    owner = new_owner()
    while (next_id := Job.next_one(job_id, base_revision)) is not None:
        if job := Job.claim(next_id, owner):
            return job
    return None


def _most() -> int:
    if settings.ALIGN_TRAIN_TOGETHER > 0:
        return int(settings.ALIGN_TRAIN_TOGETHER)
    return TOGETHER_ON_CPU if base_for_process().device.type == "cpu" else TOGETHER_ON_GPU
