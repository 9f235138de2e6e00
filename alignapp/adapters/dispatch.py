"""Send every task, after the transaction that made its row. The one module of the web that wakes workers.

A message that is lost does no harm: the sweeper finds the row and wakes a worker again.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import redis
from django.db import transaction
from kombu.exceptions import OperationalError

from alignapp.chat import streams
from workers import queues
from workers.app import app

if TYPE_CHECKING:
    from uuid import UUID

    from alignapp.adapters.models import Job
    from alignapp.audit.models import AuditCheck
    from alignapp.chat.models import Reply
    from alignapp.instant.models import InstantVector

log = logging.getLogger(__name__)
ASKED_AGAIN = timedelta(minutes=10)
GATE_AFTER = timedelta(seconds=10)  # about the time in which a person rates a turn's answers


def wake_for_job(job: Job) -> None:
    """Wake a training worker for this job when the transaction commits; for another base model, its own."""
    if job.base_revision:
        send = partial(_send, "workers.run_job_for_other_base", str(job.id), queues.OTHER_BASE)
    else:
        send = partial(_send, "workers.run_job", str(job.id), queues.TRAIN)
    transaction.on_commit(send)


def wake_for_model_check(known_id: UUID) -> None:
    """Have a worker that proves things check a base model when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.check_model", str(known_id), queues.EVALUATE))


def wake_for_reply(reply: Reply) -> None:
    """Wake a generation worker for this reply when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.generate_reply", str(reply.id), queues.GENERATE))


def wake_for_ratings(person_id: UUID) -> None:
    """Have the housekeeping bring a person's vector up to what they rated when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.follow_ratings", str(person_id), queues.HOUSEKEEPING))


def wake_for_states(reply_id: UUID) -> None:
    """Have a generation worker read an answer whose states are missing, when the transaction commits.

    Every rating and every answer that was read looks for what is missing and finds the same answers: each is
    asked for once, and again after ASKED_AGAIN, should the message have been lost.
    """
    transaction.on_commit(partial(_ask_for_states, str(reply_id)))


def _ask_for_states(reply_id: str) -> None:
    try:
        if not streams.connection().set(f"states:{reply_id}", 1, nx=True, ex=ASKED_AGAIN):
            return
    except redis.RedisError as error:
        log.warning("broker unreachable, the states of %s are read later: %s", reply_id, error)
        return
    _send("workers.read_states", reply_id, queues.GENERATE)


def wake_for_gate(vector: InstantVector) -> None:
    """Have a generation worker ask the safety gate about a vector, some seconds after the commit.

    Ratings come in bursts, and only the last vector of a burst is still current then. A message that is lost
    costs the next reply some seconds: whoever writes it asks first.
    """
    ask = partial(_send, "workers.gate_instant", str(vector.id), queues.GENERATE, after=GATE_AFTER)
    transaction.on_commit(ask)


def wake_for_import(import_id: UUID) -> None:
    """Wake a worker for this import when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.run_import", str(import_id), queues.HOUSEKEEPING))


def wake_for_audit_check(check: AuditCheck) -> None:
    """Have the housekeeping walk over the audit chain when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.verify_audit", check.pk, queues.HOUSEKEEPING))


def wake_for_comparison(what: str, artifact_ids: str) -> None:
    """Have a worker compare the "weights" or the "held_out" of these (ids, joined by commas).

    Whoever puts held-out feedback to a model changes how it answers meanwhile, so those who serve do not; and
    not behind all jobs that wait: a worker takes its queues in turn.
    """
    queue = queues.EVALUATE if what == "held_out" else queues.GENERATE
    transaction.on_commit(partial(_send, f"workers.compare_{what}", artifact_ids, queue))


def wake_for_asked(cell_id: str) -> None:
    """Have a generation worker put one question of `asking` to one artifact when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.answer_asked", cell_id, queues.GENERATE))


def wake_for_tried(tried_id: str) -> None:
    """Have a generation worker judge what `studies.trying` keeps when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.judge_tried", tried_id, queues.GENERATE))


def wake_for_live(person_id: UUID) -> None:
    """Have the housekeeping look at a person's live win rate when the transaction commits."""
    transaction.on_commit(partial(_send, "workers.look_at_live", str(person_id), queues.HOUSEKEEPING))


def messages_to_generation() -> int:
    """Return how many messages wait for a generation worker; 0 where the broker does not answer."""
    return messages_by_queue()[queues.GENERATE]


def messages_by_queue() -> dict[str, int]:
    """Return how many messages wait in each queue; 0 where the broker does not answer."""
    pipe = streams.connection().pipeline(transaction=False)
    for name in queues.ALL:
        pipe.llen(name)
    try:
        return dict(zip(queues.ALL, map(int, pipe.execute()), strict=True))
    except redis.RedisError as error:
        log.warning("broker unreachable, its messages are not counted: %s", error)
        return dict.fromkeys(queues.ALL, 0)


def _send(task: str, row_id: str | int, queue: str, *, after: timedelta = timedelta(0)) -> None:
    try:
        app.send_task(task, args=[row_id], queue=queue, retry=False, countdown=after.total_seconds() or None)
    except (OperationalError, OSError) as error:
        # The row stays queued; the sweeper sends it again when the broker is back.
        log.warning("broker unreachable, %s %s waits for the sweeper: %s", task, row_id, error)
