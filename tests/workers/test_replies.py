"""Replies by the real task and a real broker: written once, stoppable, and refused with a reason."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from safetensors.torch import save_file

from alignapp.accounts.models import Person
from alignapp.adapters import dispatch
from alignapp.adapters.models import Artifact, Job, ReportCard
from alignapp.adapters.store import signing_key
from alignapp.audit.models import AuditEvent
from alignapp.chat import streams
from alignapp.chat.models import Conversation, Reply, Turn
from personalization import artifacts
from tests import tiny
from tests.gates import gate
from tests.workers.conftest import wait_until
from workers import engines, shutdown
from workers.tasks.generate import SHUT_DOWN, generate_reply
from workers.tasks.sweep import rescue_replies

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def person() -> Person:
    return Person.objects.create_user("writer@example.org", "a long pass phrase")


def queued(person: Person, tokens: int = 40, seed: int = 1, **fields) -> Reply:
    turn = Turn.objects.create(conversation=Conversation.objects.create(person=person), text="Hello")
    sampling = {"temperature": 1.0, "top_p": 0.95, "top_k": 0, "max_new_tokens": tokens, "seed": seed}
    return Reply.objects.create(turn=turn, position=0, maker=Reply.Maker.BASE, sampling=sampling, **fields)


def events(reply: Reply) -> list[tuple[str, dict]]:
    entries = streams.connection().xrange(f"reply:{reply.id}")
    return [(fields["event"], json.loads(fields["data"])) for _, fields in entries]


def sealed(person: Person, tmp_path: Path, revision: str) -> Artifact:
    folder = tmp_path / "artifacts" / "new"
    folder.mkdir(parents=True)
    save_file({"layer.1.output": tiny.vectors(seed=5).sites[1, "output"]}, folder / "steering.safetensors")
    made = artifacts.seal(
        folder, tmp_path / "artifacts", kind="vector", owner=str(person.id), model_revision=revision,
        method="steer", parameters={}, records=["r"], metrics={}, key=signing_key(),
    )  # fmt: skip
    job = Job.objects.create(person=person, method="steer", state=Job.State.DONE)
    artifact = Artifact.objects.create(
        person=person,
        job=job,
        number=1,
        kind="vector",
        digest=made.digest,
        size_bytes=1,
        model_revision=revision,
    )
    safety = gate(0.8, 0.8, 0.9, 0.9).as_dict()
    artifact.judge(proven=True, verdict="Proven: so.", results={"safety": safety})
    return artifact


def part(artifact: Artifact) -> list[dict]:
    return [{"artifact": str(artifact.id), "digest": artifact.digest, "kind": "vector", "strength": 1.0}]


def test_a_reply_is_saved_before_its_listeners_hear_that_it_is_done(engine, person):
    reply = queued(person)
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    *tokens, (name, done) = events(reply)
    assert (reply.status, name, done) == (Reply.Status.DONE, "done", {"status": "done", "error": ""})
    assert reply.text == streams.text_so_far(reply.id) == "".join(data["text"] for _, data in tokens) != ""
    assert reply.model_revision == engines.base_for_process().revision
    assert reply.finish_reason in ("eos", "length")
    assert (reply.token_count > 0, reply.first_token_ms >= 0, reply.duration_ms > 0) == (True, True, True)
    assert (reply.lease_owner, reply.lease_until) == ("", None)


def test_the_same_message_delivered_many_times_writes_once(engine, person):
    reply = queued(person)
    threads = [threading.Thread(target=generate_reply, args=[str(reply.id)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    generate_reply(str(reply.id))
    assert [name for name, _ in events(reply)].count("done") == 1
    reply.refresh_from_db()
    assert reply.text == streams.text_so_far(reply.id)


def while_writing(reply: Reply, act) -> Reply:
    """Start the task in a thread, act once text has been published, and return the row at the end."""
    thread = threading.Thread(target=generate_reply, args=[str(reply.id)])
    thread.start()
    try:
        wait_until(lambda: streams.text_so_far(reply.id), 20)
        act()
    finally:
        thread.join(30)
    assert not thread.is_alive()
    return Reply.objects.filter(pk=reply.pk).first()


def test_a_stop_is_noticed_soon_and_keeps_exactly_what_was_shown(engine, person):
    reply = queued(person, tokens=300, seed=3)
    begun = time.monotonic()
    stopped = while_writing(reply, lambda: streams.request_cancel(reply.id))
    assert (stopped.status, stopped.finish_reason) == (Reply.Status.STOPPED, "cancelled")
    assert stopped.text == streams.text_so_far(reply.id) != ""
    assert stopped.token_count < 300
    assert time.monotonic() - begun < 3
    assert events(reply)[-1] == ("done", {"status": "stopped", "error": ""})


def test_a_worker_that_shuts_down_keeps_what_was_shown_and_says_so(engine, person):
    reply = while_writing(queued(person, tokens=300, seed=3), shutdown.requested.set)
    assert (reply.status, reply.error) == (Reply.Status.FAILED, SHUT_DOWN)
    assert reply.text == streams.text_so_far(reply.id) != ""


def test_a_reply_of_which_nothing_was_shown_goes_back_when_the_worker_shuts_down(engine, person):
    engine._batch.read = lambda *_: time.sleep(1) or (_ for _ in ()).throw(RuntimeError("late"))
    shutdown.requested.set()
    reply = queued(person)
    first = queued(person)  # keeps the engine busy while the other one waits
    thread = threading.Thread(target=generate_reply, args=[str(first.id)])
    thread.start()
    time.sleep(0.2)
    generate_reply(str(reply.id))
    thread.join(30)
    reply.refresh_from_db()
    assert (reply.status, reply.lease_owner) == (Reply.Status.QUEUED, "")
    assert events(reply) == []


def test_a_reply_that_was_deleted_or_taken_away_is_dropped_silently(engine, person, settings):
    settings.REPLY_LEASE_SECONDS = 1
    reply = queued(person, tokens=300, seed=3)
    assert while_writing(reply, lambda: Reply.objects.filter(pk=reply.pk).delete()) is None
    assert "done" not in [name for name, _ in events(reply)]


def test_a_vector_shapes_the_reply_of_its_owner(engine, person, tmp_path):
    artifact = sealed(person, tmp_path, engines.base_for_process().revision)
    replies = [queued(person), queued(person, interventions=part(artifact))]
    for reply in replies:
        generate_reply(str(reply.id))
        reply.refresh_from_db()
        assert reply.status == Reply.Status.DONE, reply.error
    assert replies[0].text != replies[1].text


@pytest.mark.parametrize(
    "harm", ["changed", "foreign", "deleted", "quarantined", "never tested", "unfinished", "other model"]
)
def test_an_artifact_that_must_not_act_is_refused_with_a_reason_and_an_audit_event(
    engine, person, tmp_path, harm
):
    revision = engines.base_for_process().revision
    stranger = Person.objects.create_user("stranger@example.org", "a long pass phrase")
    maker = stranger if harm == "foreign" else person
    artifact = sealed(maker, tmp_path, "other" if harm == "other model" else revision)
    reply = queued(person, interventions=part(artifact))
    folder = artifacts.path_of(tmp_path / "artifacts", artifact.digest)
    if harm == "changed":
        file = folder / "steering.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    if harm == "deleted":
        artifact.delete()
        shutil.rmtree(folder)
    if harm == "quarantined":
        Artifact.objects.update(state=Artifact.State.QUARANTINED)
    if harm == "never tested":  # proven by a version of the program that had no gate
        ReportCard.objects.update(results={})
    if harm == "unfinished":
        Artifact.objects.update(state=Artifact.State.CANDIDATE)
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    assert (reply.status, reply.text) == (Reply.Status.FAILED, "")
    assert reply.error
    event = AuditEvent.objects.get(verb="artifact.refused")
    assert event.reason == reply.error
    assert events(reply)[-1] == ("done", {"status": "failed", "error": reply.error})


def test_an_unknown_engine_is_said_on_the_reply(engine, person, settings):
    settings.ALIGN_ENGINE = "lokal"
    engines._engine.cache_clear()
    reply = queued(person)
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    assert reply.error == "There is no engine (ALIGN_ENGINE) named 'lokal'. Did you mean local, vllm?"


@pytest.mark.chaos
def test_a_real_worker_writes_many_at_once_and_a_killed_one_loses_no_text(workers, person):
    process = workers.start("generation")
    replies = [queued(person, seed=seed) for seed in range(12)]
    for reply in replies:
        dispatch.wake_for_reply(reply)
    wait_until(lambda: Reply.objects.filter(status=Reply.Status.DONE).count() == 12)
    workers.kill(process, signal.SIGTERM)

    process = workers.start("generation")
    long = [queued(person, tokens=450, seed=seed) for seed in range(12)]
    for reply in long:
        dispatch.wake_for_reply(reply)
    wait_until(lambda: any(streams.text_so_far(reply.id) for reply in long))
    workers.kill(process, signal.SIGKILL)
    Reply.objects.filter(status=Reply.Status.RUNNING).update(lease_until="2000-01-01T00:00Z")
    rescue_replies()
    for reply in long:
        reply.refresh_from_db()
        shown = streams.text_so_far(reply.id)
        assert reply.status in (Reply.Status.FAILED, Reply.Status.DONE, Reply.Status.QUEUED)
        assert reply.text == shown or reply.status == Reply.Status.QUEUED
    assert any(reply.status == Reply.Status.FAILED and reply.text for reply in long)


def test_replies_that_wait_are_announced_once_however_often_it_is_swept(person):
    streams.connection().flushdb()
    for _ in range(3):
        queued(person)
    rescue_replies()
    assert dispatch.messages_to_generation() == 0  # their first messages may be on their way
    Reply.objects.update(created_at="2020-01-01T00:00Z")
    for _ in range(3):
        rescue_replies()
    assert dispatch.messages_to_generation() == 3
    streams.connection().flushdb()
