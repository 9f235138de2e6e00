"""Send every task, after the transaction that made its row. The one module of the web that wakes workers.

A message that is lost does no harm: the sweeper finds the row and wakes a worker again.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from kombu.exceptions import OperationalError

from workers import queues
from workers.app import app

if TYPE_CHECKING:
    from alignapp.adapters.models import Job
    from alignapp.chat.models import Reply

log = logging.getLogger(__name__)


def wake_for_job(job: Job) -> None:
    """Wake a training worker for this job when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.run_job", str(job.id), queues.TRAIN))


def wake_for_reply(reply: Reply) -> None:
    """Wake a generation worker for this reply when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.generate_reply", str(reply.id), queues.GENERATE))


def _send(task: str, row_id: str, queue: str) -> None:
    try:
        app.send_task(task, args=[row_id], queue=queue, retry=False)
    except (OperationalError, OSError) as error:
        # The row stays queued; the sweeper sends it again when the broker is back.
        log.warning("broker unreachable, %s %s waits for the sweeper: %s", task, row_id, error)
