"""Take a job, and others that can learn in the same passes, and say how each ended.

Running a job twice trains once: whoever is in another's batch is found taken, or ended, when the message that
names it comes.
"""

from __future__ import annotations

import logging

from alignapp.adapters.models import MERGE, PROVE, Job
from alignapp.studies.services import REWARD
from personalization import registry
from workers import merging, pipeline, reproving, rewarding
from workers.app import app
from workers.batch import Batch
from workers.engines import base_for_process
from workers.lease import new_owner

log = logging.getLogger(__name__)

# Jobs that are no learning method of the registry.
ALONE = {MERGE: merging.run, PROVE: reproving.run, REWARD: rewarding.run}


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
    with Batch(job) as batch:
        try:
            if (alone := ALONE.get(job.method)) is not None:
                alone(batch.attempts[0])
                return
            if registry.get(job.method).produces == "adapter":
                batch.gather()
            pipeline.run(batch)
        except Exception as error:
            batch.settle(error)


def _claimed(job_id: str, base_revision: str = "") -> Job | None:
    """Take the next job; where another worker was faster, the one after it."""
    owner = new_owner()
    while (next_id := Job.next_one(job_id, base_revision)) is not None:
        if job := Job.claim(next_id, owner):
            return job
    return None
