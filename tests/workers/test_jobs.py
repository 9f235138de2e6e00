"""Jobs with real workers and a real broker: exactly once, through kills, stops and lost messages."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from django.conf import settings

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters import dispatch, store
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.services import start_job
from alignapp.chat import streams
from alignapp.feedback.services import record_feedback
from tests.web.rows import answered_turn, conversation_of
from tests.workers.conftest import wait_for, wait_until
from workers import queues
from workers.tasks.sweep import remove_leftovers, rescue_jobs, sweep

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


def person_with_pairs(
    email: str, conversations: int = 8, *, asks: str = "Hello", dislikes: str = "Nothing of that"
) -> Person:
    """Return a person who rated two answers in each of some conversations."""
    person = Person.objects.create_user(email, "a long pass phrase")
    give_consent(person)
    for i in range(conversations):
        answers = (f"Yes, {i}.", f"{dislikes}, {i}!")
        turn, (good, bad) = answered_turn(conversation_of(person), *answers, text=asks)
        for reply, score in ((good, 90), (bad, 10)):
            record_feedback(person, turn, "rating", reply=reply, score=score)
    return person


def start(person: Person, min_pairs: int = 4) -> Job:
    settings.MIN_TRAINING_PAIRS = min_pairs
    return start_job(person, "dpo")


@pytest.fixture(autouse=True)
def few_pairs(settings):
    settings.MIN_TRAINING_PAIRS = 4


def is_sound(job: Job) -> None:
    """Assert that a job made exactly one artifact, whole, and left nothing else behind."""
    artifact = Artifact.objects.get(job=job)
    store.check(artifact)
    assert artifact.report_card.results["n_pairs"] > 0
    assert artifact.state in (Artifact.State.PROVEN, Artifact.State.NOT_PROVEN)
    remove_leftovers()
    assert not list(Path(settings.ARTIFACT_DIR).glob("learning-*"))
    assert not store.checkpoint_folder(job.id).exists()


def test_the_same_message_delivered_ten_times_trains_once(workers):
    job = start(person_with_pairs("ten@example.org"))
    for _ in range(10):
        dispatch._send("workers.run_job", str(job.id), queues.TRAIN)
    workers.start()
    wait_for(job, Job.State.DONE, Job.State.DEAD)
    time.sleep(1.0)  # the other nine messages
    job.refresh_from_db()
    assert (job.state, job.attempts, job.reason) == (Job.State.DONE, 1, "")
    is_sound(job)


@pytest.mark.chaos
@pytest.mark.parametrize("share", [0.06, 0.3, 0.7, 0.85])
def test_a_killed_worker_loses_nothing(workers, share):
    job = start(person_with_pairs("killed@example.org", conversations=60))
    first = workers.start()

    def is_there() -> bool:
        job.refresh_from_db()
        return job.progress >= share or job.has_ended

    wait_until(is_there)
    workers.kill(first)
    job.refresh_from_db()
    split = job.split
    workers.start()
    wait_until(lambda: (sweep(), job.refresh_from_db(), job.has_ended)[-1])
    assert (job.state, job.reason) == (Job.State.DONE, "")
    assert job.split == split
    is_sound(job)


@pytest.mark.chaos
def test_a_worker_that_is_told_to_stop_gives_its_job_back(workers):
    job = start(person_with_pairs("stopped@example.org", conversations=100))
    worker = workers.start()
    wait_until(lambda: (job.refresh_from_db(), job.progress > 0.4)[-1])
    begun = time.monotonic()
    workers.kill(worker, signal.SIGTERM)
    assert time.monotonic() - begun < 30
    job.refresh_from_db()
    assert (job.state, job.attempts) == (Job.State.QUEUED, 0)
    assert store.checkpoint_folder(job.id).exists()


def test_a_lost_message_is_sent_again(workers):
    workers.kill_all()  # one that runs would be quicker than the loss
    job = start(person_with_pairs("lost@example.org"))
    streams.connection().flushdb()
    workers.start()
    time.sleep(0.5)
    job.refresh_from_db()
    assert job.state == Job.State.QUEUED
    sweep()
    wait_for(job, Job.State.DONE)
    is_sound(job)


def test_jobs_that_wait_are_announced_once_however_often_it_is_swept(workers):
    workers.kill_all()
    streams.connection().flushdb()
    start(person_with_pairs("here@example.org"))
    other = start(person_with_pairs("elsewhere@example.org"))
    Job.objects.filter(pk=other.pk).update(base_revision="another")
    start(person_with_pairs("late@example.org"))
    for _ in range(3):
        sweep()
    held = dispatch.messages_by_queue()
    assert (held[queues.TRAIN], held[queues.OTHER_BASE]) == (3, 1)  # one is of before it was changed
    streams.connection().flushdb()
    for _ in range(3):
        sweep()
    held = dispatch.messages_by_queue()
    assert (held[queues.TRAIN], held[queues.OTHER_BASE]) == (2, 1)
    streams.connection().flushdb()


def test_a_cancelled_job_ends_and_leaves_no_file(workers):
    job = start(person_with_pairs("cancel@example.org", conversations=100))
    workers.start()
    wait_until(lambda: (job.refresh_from_db(), job.progress > 0.06)[-1])
    job.cancel()
    wait_for(job, Job.State.CANCELLED)
    assert not Artifact.objects.filter(job=job).exists()
    wait_until(lambda: (remove_leftovers(), not list(Path(settings.ARTIFACT_DIR).glob("learning-*")))[-1])


def test_a_hopeless_job_is_dead_and_the_next_person_is_served(workers):
    workers.kill_all()  # one that runs would take the job before it is hopeless
    hopeless = start(person_with_pairs("hopeless@example.org"))
    Job.objects.filter(pk=hopeless.pk).update(parameters={"beta": 99.0})
    next_one = start(person_with_pairs("next@example.org"))
    workers.start()
    wait_for(hopeless, Job.State.DEAD)
    assert "beta is 99" in hopeless.reason
    wait_for(next_one, Job.State.DONE)


def test_three_deaths_end_a_job(workers):
    workers.kill_all()  # one that runs would do what the dying do not
    job = start(person_with_pairs("deaths@example.org"))
    for attempt in range(1, Job.MAX_ATTEMPTS + 1):
        assert Job.claim(job.id, f"dying-{attempt}") is not None
        Job.objects.filter(pk=job.pk).update(lease_until="2020-01-01T00:00:00Z")
        rescue_jobs()
    job.refresh_from_db()
    assert job.state == Job.State.DEAD
    assert "died 3 times" in job.reason
