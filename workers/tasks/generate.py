"""Write one reply: claim the row, hand the request to this process's engine, publish tokens, save.

Runs in a thread pool: all tasks of a process share one engine, which batches them. The row decides;
the same message delivered twice writes once. The row is saved before "done" is published.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from django.conf import settings
from django.db import transaction

from alignapp.adapters import dispatch
from alignapp.chat import streams, waiting
from alignapp.chat.candidates import plain
from alignapp.chat.events import close_connections
from alignapp.chat.models import Reply
from alignapp.chat.paths import messages_before
from alignapp.instant.models import ReplyStates
from alignapp.instant.services import reward_of
from personalization.decoding.objectives import by_reward_on_subject
from personalization.engine.best_of import BestOf
from personalization.engine.requests import Engine, Finished, GenerationRequest, Sampling, Stream, Token
from personalization.errors import AlignError, EngineBusy
from personalization.steering.reward import Reward
from workers import instant, rewarding, shutdown
from workers.app import app
from workers.engines import base_for_process, engine_for_process
from workers.lease import new_owner
from workers.refusals import interventions_of

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 0.05  # at most 20 events a second for each reply
LOOK_SECONDS = 0.3  # how soon a person's stop is noticed
NO_JUDGE = "The ratings no longer tell which of several answers is liked best."
SHUT_DOWN = "The worker was shut down while it was writing. What it wrote is kept; try again."


@app.task(name="workers.generate_reply")
def generate_reply(reply_id: str) -> None:
    """Write the reply whose turn it is, which need not be the one that the message names.

    There is a message for each reply that waits, so that each finds one; who comes next the rows say.
    """
    reply = _claimed(reply_id)
    if reply is None:
        log.info("woken for reply %s, and none waits", reply_id)
        return
    try:
        _write(reply)
    except EngineBusy as busy:
        log.warning("reply %s goes back: %s", reply.id, busy)
        reply.release()  # the sweeper announces it again
    except AlignError as error:
        _end(reply, reply.fail(str(error)))
    except Exception:
        log.exception("reply %s failed", reply.id)
        _end(
            reply,
            reply.fail("The answer could not be written. Try again; the operator finds why in the log."),
        )


def _claimed(reply_id: str) -> Reply | None:
    """Take the next reply; where another worker was faster, the one after it."""
    owner = new_owner()
    while (next_id := waiting.next_one(reply_id)) is not None:
        if reply := Reply.claim(next_id, owner):
            return reply
    return None


def _write(reply: Reply) -> None:
    engine = engine_for_process()
    revision = base_for_process().revision
    interventions = interventions_of(reply, model_revision=revision, tick=_renewing(reply))
    request = GenerationRequest(
        str(reply.id),
        tuple(messages_before(reply)),
        Sampling(**reply.sampling),
        interventions,
        owner=str(reply.turn.conversation.person_id),
        deadline_seconds=settings.REPLY_SECONDS,
    )
    stream = _begin(engine, request, reply, revision)
    close_connections()  # a connection for each waiting thread would use up a database's
    try:
        follower = _Follower(reply, stream)
        finished = follower.follow()
    except BaseException:
        stream.cancel()
        raise
    if finished is None:
        log.warning("reply %s is somebody else's now", reply.id)
        return
    _save(reply, follower, finished, revision)
    if reply.status == Reply.Status.DONE and not _has_comparable_states(reply, finished):
        # The answer is with the person already; what shaped it must not be in its states.
        try:
            instant.read(reply)
        except (AlignError, ValueError) as error:
            log.warning("the states of %s were not read: %s", reply.id, error)
        finally:
            close_connections()


def _begin(engine: Engine, request: GenerationRequest, reply: Reply, revision: str) -> Stream:
    """Start the answer, or several of which the one that the person would like best is kept."""
    if reply.attempts == 1:
        return engine.submit(request)
    of_project = reply.decoding.get("reward")
    reward = rewarding.head_for(of_project, revision) if of_project else _own(reply, revision)
    if reward is None:
        # Attempts are sampled hotter than one answer should be; a project's are as it samples all of its own.
        sampling = request.sampling if of_project else plain(request.sampling)
        reply.think_no_longer(NO_JUDGE, sampling.as_dict())
        return engine.submit(replace(request, sampling=sampling))
    from personalization.models.relevance import nearness_to, question_of

    near = nearness_to(question_of(request.messages))
    return BestOf(engine, request, reply.attempts, [by_reward_on_subject(reward, near)])


def _own(reply: Reply, revision: str) -> Reward | None:
    """Return the person's own reward, where it tells what they like."""
    own = reward_of(reply.turn.conversation.person)
    return own.head() if own is not None and own.model_revision == revision else None


def _thought(stream: Stream, reply: Reply) -> dict[str, Any]:
    """Return what came of thinking longer, as `Reply.decoding` has it."""
    if not isinstance(stream, BestOf) or stream.chosen is None:
        return reply.decoding
    return {**reply.decoding, "chosen": stream.chosen.place, "tokens": stream.chosen.tokens}


def _renewing(reply: Reply) -> Callable[[], None]:
    """Return what keeps the lease while something else is waited for."""
    due = time.monotonic()

    def tick() -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + settings.REPLY_LEASE_SECONDS / 3
            reply.renew()
        if shutdown.requested.is_set():
            raise EngineBusy("The worker is shutting down; another one writes the answer.")

    return tick


def _has_comparable_states(reply: Reply, finished: Finished) -> bool:
    """Say whether the states are the base model's own, on the conversation alone."""
    return finished.states is not None and not reply.interventions and not reply.system_message


@dataclass(slots=True)
class _Follower:
    """Publishes a stream's text as it comes, keeps the lease and notices a stop."""

    reply: Reply
    stream: Stream
    pending: str = ""
    published: bool = False
    stopped_by: str = ""  # "", "person", "shutdown" or "lease"
    _next: dict[str, float] = field(default_factory=dict)

    def follow(self) -> Finished | None:
        """Return how it ended; None when the row was taken away meanwhile."""
        self._is_due("renew", settings.REPLY_LEASE_SECONDS / 3)
        while True:
            event = self.stream.next(timeout_seconds=PUBLISH_SECONDS if self.pending else LOOK_SECONDS)
            if isinstance(event, Token):
                self.pending += event.text
            if isinstance(event, Finished) or self._is_due("publish", PUBLISH_SECONDS):
                self._publish()
            if isinstance(event, Finished):
                return event if self.stopped_by != "lease" else None
            self._look()

    def _look(self) -> None:
        if self._is_due("renew", settings.REPLY_LEASE_SECONDS / 3):
            if not self.reply.renew():
                self._stop("lease")
            close_connections()
        if not self.stopped_by and self._is_due("look", LOOK_SECONDS):
            if shutdown.requested.is_set():
                self._stop("shutdown")
            elif self._asked_to_stop():
                self._stop("person")

    def _stop(self, why: str) -> None:
        self.stopped_by = why
        self.stream.cancel()

    def _asked_to_stop(self) -> bool:
        try:
            return streams.is_cancelled(self.reply.id)
        except redis.RedisError as error:
            log.warning("broker unreachable, a stop of %s would not be seen: %s", self.reply.id, error)
            return False

    def _publish(self) -> None:
        """Publish what has gathered; what the broker did not take stays for the next time."""
        if not self.pending:
            return
        try:
            streams.publish(self.reply.id, "token", text=self.pending)
        except redis.RedisError as error:
            log.warning("broker unreachable, text of %s waits: %s", self.reply.id, error)
            return
        self.pending, self.published = "", True

    def _is_due(self, what: str, every_seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + every_seconds
        return True


def _save(reply: Reply, follower: _Follower, finished: Finished, revision: str) -> None:
    done = {
        "text": finished.text,
        "finish_reason": finished.reason,
        "token_count": finished.token_count,
        "prompt_token_count": finished.prompt_token_count,
        "duration_ms": round(finished.seconds * 1000),
        "first_token_ms": round(finished.seconds_to_first_token * 1000) if finished.token_count else None,
        "model_revision": revision,
        "decoding": _thought(follower.stream, reply),
    }
    if finished.reason == "error":
        _end(reply, reply.fail(finished.error, **done))
    elif finished.reason != "cancelled":
        with transaction.atomic():
            is_saved = reply.finish(Reply.Status.DONE, **done)
            if is_saved and reply.turn.conversation.for_training and _has_comparable_states(reply, finished):
                assert finished.states is not None
                ReplyStates.keep(reply, revision, finished.states)
        _end(reply, is_saved)
    elif follower.stopped_by == "person":
        _end(reply, reply.finish(Reply.Status.STOPPED, **done))
    elif follower.published:
        _end(reply, reply.fail(SHUT_DOWN, **done))
    elif reply.release():
        dispatch.wake_for_reply(reply)


def _end(reply: Reply, is_saved: bool) -> None:  # noqa: FBT001 - what the verb before it answered
    """Tell who listens, after the row is saved; a row that was taken away is not ours to end."""
    close_connections()
    if not is_saved:
        log.warning("reply %s is somebody else's now", reply.id)
        return
    log.info("reply %s %s, %d tokens", reply.id, reply.status, reply.token_count)
    try:
        streams.publish(reply.id, "done", status=str(reply.status), error=reply.error)
    except redis.RedisError as error:
        log.warning("broker unreachable; listeners of %s find the row: %s", reply.id, error)
