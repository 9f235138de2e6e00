"""Put one question of an operator to an artifact or the base model, and publish the answer as it comes."""

from __future__ import annotations

import logging
import time

import redis
from django.conf import settings

from alignapp.adapters import asking
from alignapp.adapters.models import Artifact
from alignapp.chat import streams
from alignapp.chat.events import close_connections
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling, Token
from personalization.errors import AlignError
from personalization.records import Message
from workers import shutdown
from workers.app import app
from workers.engines import base_for_process, engine_for_process
from workers.refusals import checked

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 0.1
# The same draws for everybody who is asked, so that what differs is what was learned.
SAMPLING = Sampling(temperature=0.7, top_p=0.95, max_new_tokens=128, seed=7)


@app.task(name="workers.answer_asked")
def answer_asked(cell_id: str) -> None:
    """Answer once; a message that comes again finds that it is taken, and does nothing."""
    try:
        taken = asking.take(cell_id)
        if taken is None:
            log.info("woken for question %s, which is answered or gone", cell_id)
            return
        error = ""
        try:
            error = _answer(cell_id, *taken)
        except AlignError as problem:
            error = str(problem)
        except Exception:
            log.exception("question %s failed", cell_id)
            error = "The answer could not be written. The log says why."
        streams.publish(cell_id, "done", error=error)
    except redis.RedisError as problem:
        log.warning("broker unreachable, question %s stays open: %s", cell_id, problem)
    finally:
        close_connections()


def _answer(cell_id: str, asked: asking.Asked, prompt: str, column: asking.Column) -> str:
    """Publish the answer; return what went wrong, empty for nothing."""
    acting: tuple[Intervention, ...] = ()
    if column.artifact:
        artifact = Artifact.objects.filter(pk=column.artifact).first()
        owner = str(artifact.person_id) if artifact else ""
        path = checked(artifact, column.digest, owner, base_for_process().revision)
        assert artifact is not None
        acting = (Intervention(artifact.kind, path, artifact.digest),)  # type: ignore[arg-type]
    request = GenerationRequest(
        cell_id,
        (Message("user", prompt),),
        SAMPLING,
        acting,
        owner=f"asked by {asked.by}",  # one fair share, however many are asked
        deadline_seconds=settings.REPLY_SECONDS,
    )
    stream = engine_for_process().submit(request)
    close_connections()
    pending, published = "", time.monotonic()
    while True:
        event = stream.next(timeout_seconds=PUBLISH_SECONDS)
        if isinstance(event, Token):
            pending += event.text
        if pending and (isinstance(event, Finished) or time.monotonic() - published >= PUBLISH_SECONDS):
            streams.publish(cell_id, "token", text=pending)
            pending, published = "", time.monotonic()
        if isinstance(event, Finished):
            return event.error if event.reason == "error" else ""
        if shutdown.requested.is_set():
            stream.cancel()
