"""Put right what died: leases that ran out, messages that were lost, folders that nobody will finish.

Runs every ten seconds. Each act is a conditional update, so that two sweepers do no harm.
"""

from __future__ import annotations

import logging
import shutil
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import Q
from django.utils import timezone

from alignapp.accounts.erase import repeat_purges
from alignapp.adapters import dispatch
from alignapp.adapters.models import Job
from alignapp.annotation.services.generation import go_on_everywhere
from alignapp.chat import streams
from alignapp.chat.models import Conversation, Reply
from alignapp.chat.services import delete
from alignapp.exchange.models import Import
from alignapp.leased import NOBODY
from alignapp.panel.models import AnsweredRequest
from alignapp.studies.withdrawal import finish_withdrawals
from workers import queues
from workers.app import app

log = logging.getLogger(__name__)

# A row that waits longer than this is announced again; its first message may be lost.
PATIENCE = timedelta(seconds=30)
UPLOAD_KEPT = timedelta(days=1)
GONE = "The worker stopped while it was writing. What it wrote is kept; try again."


@app.task(name="workers.sweep")
def sweep() -> None:
    """Do every kind of sweeping once."""
    rescue_jobs()
    wake_waiting_jobs()
    rescue_replies()
    rescue_imports()
    go_on_everywhere()
    finish_withdrawals()
    delete_expired()
    remove_leftovers()
    repeat_purges()
    AnsweredRequest.forget_old()
    # Expired sessions name the people who signed in.
    SessionStore.clear_expired()


def rescue_jobs() -> None:
    """Put jobs back whose worker is gone; after the last attempt they are dead."""
    gone = Job.objects.filter(state=Job.State.RUNNING, lease_until__lt=timezone.now())
    released = {"lease_owner": "", "lease_until": None}
    for job in gone.filter(cancel_requested=True):
        job.stop()
    dead = gone.filter(attempts__gte=Job.MAX_ATTEMPTS).update(
        state=Job.State.DEAD,
        reason=f"The worker died {Job.MAX_ATTEMPTS} times at this job. Its log may say why.",
        finished_at=timezone.now(),
        **released,
    )
    again = gone.update(
        state=Job.State.QUEUED, phase=Job.Phase.WAITING, reason="The worker died; it goes on.", **released
    )
    if dead or again:
        log.warning("jobs of dead workers: %d put back, %d dead", again, dead)


def wake_waiting_jobs() -> None:
    """Announce waiting jobs again that no message can be for; a busy worker comes to those that there are."""
    now, held = timezone.now(), dispatch.messages_by_queue()
    due = Q(not_before__lte=now) | Q(not_before__isnull=True)
    waiting = Job.objects.filter(due, state=Job.State.QUEUED).order_by("created_at")
    for queue, jobs in (
        (queues.TRAIN, waiting.filter(base_revision="")),
        (queues.OTHER_BASE, waiting.exclude(base_revision="")),  # perhaps nobody is there to take them
    ):
        for job in jobs[: _lacking(jobs.count(), held[queue], most=100)]:
            dispatch.wake_for_job(job)


def _lacking(waiting: int, messages: int, *, most: int) -> int:
    """Return how many messages are to be sent again: any message wakes a worker for any row of its kind.

    One more for each that waits, at every sweep, would pile up without bound while workers are busy.
    """
    return min(max(0, waiting - messages), most)


def rescue_imports() -> None:
    """Put imports back whose worker is gone, and announce those that wait; drop uploads nobody committed."""
    now = timezone.now()
    gone = Import.objects.filter(state=Import.State.RUNNING, lease_until__lt=now)
    gone.filter(attempts__gte=Import.MAX_ATTEMPTS).update(
        state=Import.State.DEAD, reason="The worker died each time. Its log may say why.", finished_at=now
    )
    gone.update(state=Import.State.QUEUED, **NOBODY)
    for row in Import.objects.filter(state=Import.State.QUEUED)[:100]:
        dispatch.wake_for_import(row.pk)
    Import.objects.filter(state=Import.State.SHOWN, created_at__lt=now - UPLOAD_KEPT).delete()
    waiting = Import.objects.exclude(state__in=(Import.State.DONE, Import.State.DEAD))
    kept = {str(pk) for pk in waiting.values_list("pk", flat=True)}
    for path in Path(settings.UPLOAD_DIR).glob("*"):
        # An upload's row is made when the file is whole; what is being written is young.
        if path.name not in kept and time.time() - path.stat().st_mtime > UPLOAD_KEPT.total_seconds():
            path.unlink(missing_ok=True)


def rescue_replies() -> None:
    """Fail replies whose worker is gone and keep their text; announce those again that nobody took."""
    now = timezone.now()
    for reply in Reply.objects.filter(status=Reply.Status.RUNNING, lease_until__lt=now)[:200]:
        same = Reply.objects.filter(pk=reply.pk, status=Reply.Status.RUNNING, lease_until=reply.lease_until)
        ended = same.update(
            status=Reply.Status.FAILED,
            text=streams.text_so_far(reply.id),
            error=GONE,
            **NOBODY,
            finished_at=now,
        )
        if ended:
            streams.publish(reply.id, "done", status=Reply.Status.FAILED, error=GONE)
    waiting = Reply.objects.filter(status=Reply.Status.QUEUED)
    lacking = _lacking(waiting.count(), dispatch.messages_to_generation(), most=200)
    unheard = waiting.filter(created_at__lt=now - PATIENCE).order_by("created_at")
    for reply in unheard[:lacking]:
        dispatch.wake_for_reply(reply)


def delete_expired() -> None:
    """Delete exchanges that were not to be stored and whose reader is gone without a trace."""
    for conversation in Conversation.objects.filter(expires_at__lt=timezone.now())[:200]:
        delete(conversation)


def remove_leftovers() -> None:
    """Remove checkpoints and temporary folders of jobs that have ended."""
    folders = [
        *(f for f in Path(settings.CHECKPOINT_DIR).glob("*") if f.is_dir()),
        *Path(settings.ARTIFACT_DIR).glob("learning-*"),
    ]
    open_jobs = {str(pk) for pk in Job.objects.exclude(state__in=Job.ENDED).values_list("id", flat=True)}
    for folder in folders:
        if not any(job_id in folder.name for job_id in open_jobs):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in Path(settings.ARTIFACT_DIR).glob("instant-*"):  # sealed within a second, or never
        try:
            is_old = time.time() - folder.stat().st_mtime > PATIENCE.total_seconds()
        except FileNotFoundError:
            continue
        if is_old:
            shutil.rmtree(folder, ignore_errors=True)
