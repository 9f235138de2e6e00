"""Jobs that wait together learn in one batch: each as if alone, and whoever leaves it leaves alone."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from datetime import timedelta

import pytest
import torch
from django.utils import timezone
from safetensors.torch import load_file

from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job, MethodInfo
from personalization import registry
from personalization.training import train as training
from tests.weights import gap
from tests.workers.conftest import LEASE_SECONDS, Workers, wait_for, wait_until
from tests.workers.test_jobs import few_pairs, is_sound, person_with_pairs, start  # noqa: F401 - a fixture
from workers import batch, pipeline
from workers.batch import Batch
from workers.lease import new_owner
from workers.tasks.sweep import sweep
from workers.tasks.train import run_job

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def workers(workers):
    """None runs yet: it would take the first who waits alone, and be ended for one with other settings."""
    workers.kill_all()
    return workers


@pytest.fixture
def here(engine, settings):
    """This process is the worker, and takes up to eight jobs at once."""
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    settings.ALIGN_TRAIN_TOGETHER, settings.JOB_LEASE_SECONDS = 8, LEASE_SECONDS


def queued(*conversations: int) -> list[Job]:
    """Return waiting jobs of as many people, with so many conversations each."""
    return [start(person_with_pairs(f"p{i}@example.org", n)) for i, n in enumerate(conversations)]


def start_worker(workers: Workers, together: int = 8):
    workers.environment["ALIGN_TRAIN_TOGETHER"] = str(together)
    return workers.start()


def weights(job: Job) -> dict[str, torch.Tensor]:
    return load_file(store.folder_of(Artifact.objects.get(job=job)) / "adapter_model.safetensors")


def were_together(one: Job, other: Job) -> bool:
    """Whether one worker process, which takes one message at a time, had both at once."""
    for job in (one, other):
        job.refresh_from_db()
    assert one.finished_at is not None
    assert other.started_at is not None
    return other.started_at < one.finished_at


def wait_for_learning(jobs: list[Job], share: float) -> None:
    """Wait until every job's progress is beyond this share."""

    def arrived() -> bool:
        for job in jobs:
            job.refresh_from_db()
            assert not job.has_ended
        return all(job.progress > share for job in jobs)

    wait_until(arrived)


def wait_for_all(jobs: list[Job]) -> None:
    """Do what beat does until every job is done."""

    def arrived() -> bool:
        sweep()
        for job in jobs:
            job.refresh_from_db()
            assert job.state not in (Job.State.DEAD, Job.State.CANCELLED), job.reason
        return all(job.state == Job.State.DONE for job in jobs)

    wait_until(arrived, seconds=120.0)


@pytest.fixture
def assert_as_if_alone(request, settings, monkeypatch, processes):
    """Have this process do each job again from the same rows, split and seed, alone, and compare."""

    def compare(jobs: list[Job]) -> None:
        processes.kill_all()
        for job in jobs:
            is_sound(job)
        together = [weights(job) for job in jobs]
        request.getfixturevalue("engine")  # with folders of its own
        settings.ALIGN_TRAIN_TOGETHER = 1
        monkeypatch.setattr(pipeline, "prove", lambda work, artifact: None)  # weights are compared, no cards
        Artifact.objects.filter(job__in=jobs).delete()
        again = {"state": Job.State.QUEUED, "attempts": 0, "progress": 0.0, "curve": [], "not_before": None}
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(**again)
        for job, before in zip(jobs, together, strict=True):
            run_job(str(job.id))
            alone = weights(job)
            assert gap(before, alone) < 1e-5
            assert max(alone[name].abs().max().item() for name in alone if "lora_B" in name) > 1e-3
        assert not were_together(*jobs[:2])

    return compare


def test_two_people_learn_in_one_batch_each_as_if_alone(workers, assert_as_if_alone):
    brief, thorough = jobs = queued(8, 40)
    start_worker(workers)
    wait_for_all(jobs)
    assert were_together(brief, thorough)
    assert brief.finished_at < thorough.finished_at
    time.sleep(1.0)  # the message of the one that was gathered
    for job in jobs:
        job.refresh_from_db()
        assert (job.state, job.attempts, job.reason) == (Job.State.DONE, 1, "")
        assert job.curve[0]["step"] == 1
    assert len(brief.curve) < len(thorough.curve)
    assert_as_if_alone(jobs)


@pytest.mark.chaos
def test_a_killed_worker_loses_nobody_and_each_goes_on_alone(workers, assert_as_if_alone):
    jobs = queued(60, 60)
    worker = start_worker(workers)
    wait_for_learning(jobs, share=0.45)  # beyond the first checkpoint
    workers.kill(worker)
    for job in jobs:
        assert (store.checkpoint_folder(job.id) / "checkpoint.safetensors").exists()
    start_worker(workers)
    wait_for_all(jobs)
    assert [job.attempts for job in jobs] == [2, 2]
    # Either may have been the one that killed it.
    assert not were_together(*sorted(jobs, key=lambda job: job.started_at))
    assert_as_if_alone(jobs)


@pytest.mark.chaos
def test_a_shutdown_gives_everybody_back_and_they_go_on_in_other_company(workers, assert_as_if_alone):
    first, second = queued(60, 60)
    worker = start_worker(workers)
    wait_for_learning([first, second], share=0.3)
    workers.kill(worker, signal.SIGTERM)
    for job in (first, second):
        job.refresh_from_db()
        assert (job.state, job.attempts) == (Job.State.QUEUED, 0)
        assert (store.checkpoint_folder(job.id) / "checkpoint.safetensors").exists()
    Job.objects.filter(pk=second.pk).update(not_before=timezone.now() + timedelta(days=1))
    third = start(person_with_pairs("third@example.org", 12))
    start_worker(workers)
    wait_for_all([first, third])
    assert were_together(*sorted((first, third), key=lambda job: job.finished_at))
    Job.objects.filter(pk=second.pk).update(not_before=None)
    wait_for_all([first, second, third])
    jobs = [first, second, third]
    assert_as_if_alone(jobs)


def test_one_of_two_is_cancelled_and_leaves_alone(workers):
    stays, leaves = queued(40, 40)
    start_worker(workers)
    wait_for_learning([stays, leaves], share=0.06)
    leaves.cancel()
    wait_for(leaves, Job.State.CANCELLED)
    wait_for_all([stays])
    assert not Artifact.objects.filter(job=leaves).exists()
    is_sound(stays)


def test_one_is_cancelled_while_another_is_proven(here, monkeypatch):
    brief, thorough = queued(8, 40)
    prove = pipeline.prove

    def slow(work, artifact) -> None:
        if work.job == brief:
            thorough.cancel()
            time.sleep(LEASE_SECONDS / 2)  # its lease is renewed meanwhile
            prove(work, artifact)
            thorough.refresh_from_db()
            assert thorough.state == Job.State.CANCELLED
        else:
            prove(work, artifact)

    monkeypatch.setattr(pipeline, "prove", slow)
    run_job(str(brief.id))
    brief.refresh_from_db()
    assert (brief.state, brief.reason) == (Job.State.DONE, "")
    assert not Artifact.objects.filter(job=thorough).exists()


NAN, LARGE = "Certainly not anything of that", "No" * 70


def poison(monkeypatch) -> None:
    """Let the losses of one person become no number, and the texts of another need too much memory."""
    dpo, read = registry.get("dpo"), training.decoded_above

    def loss(policy, reference, **parameters):
        theirs = (policy.rejected_tokens == len(f"{NAN}, 1!") + 1).any()
        return dpo.function(policy, reference, **parameters) * (float("nan") if theirs else 1.0)

    def decoded_above(base, given, first):
        if max(len(text.given) for text in given) > 2 * 70:
            raise RuntimeError("out of memory")
        return read(base, given, first)

    monkeypatch.setitem(registry._methods, "dpo", replace(dpo, function=loss))
    monkeypatch.setattr(training, "decoded_above", decoded_above)


def test_whoever_cannot_learn_leaves_alone_and_is_told_why(here, monkeypatch, assert_as_if_alone):
    poison(monkeypatch)
    good = start(person_with_pairs("good@example.org"))
    nan = start(person_with_pairs("nan@example.org", dislikes=NAN))
    large = start(person_with_pairs("large@example.org", dislikes=LARGE))
    long = start(person_with_pairs("long@example.org", asks="Why? " * 120))
    hopeless = start(person_with_pairs("hopeless@example.org"))
    Job.objects.filter(pk=hopeless.pk).update(parameters={"beta": 99.0})
    other = start(person_with_pairs("other@example.org", 12))
    Job.objects.filter(pk=other.pk).update(parameters={"beta": 0.4})
    run_job(str(nan.id))
    for job in (good, nan, large, long, hopeless, other):
        job.refresh_from_db()
        assert job.attempts == 1
    assert (good.state, good.reason, other.state) == (Job.State.DONE, "", Job.State.DONE)
    assert (nan.state, large.state) == (Job.State.QUEUED, Job.State.QUEUED)  # tried again, alone
    assert nan.reason.startswith("Attempt 1 failed: ArithmeticError: the loss is not a number")
    assert large.reason.startswith("Attempt 1 failed: RuntimeError: out of memory")
    assert (long.state, hopeless.state) == (Job.State.DEAD, Job.State.DEAD)
    assert "leaves no room for an answer" in long.reason
    assert "beta is 99" in hopeless.reason
    assert_as_if_alone([good, other])


LEARNED_TOGETHER = ("dpo", "kto")


def test_a_batch_takes_the_oldest_that_wait_at_their_first_attempt_and_learn_adapters(here):
    first, second, third, tried, later, steer, last = queued(*[8] * 7)
    Job.objects.filter(pk=tried.pk).update(attempts=1)
    Job.objects.filter(pk=later.pk).update(not_before=timezone.now() + timedelta(minutes=1))
    Job.objects.filter(pk=steer.pk).update(method="steer")
    Job.objects.filter(pk=third.pk).update(method="kto")
    assert Job.claim(second.id, "another worker") is not None
    leader = Job.claim(last.id, "me")
    assert leader is not None
    owners = iter("abcdef")
    taken = list(leader.claim_company(3, lambda: next(owners), methods=LEARNED_TOGETHER))
    assert [(job.pk, job.lease_owner, job.attempts) for job in taken] == [
        (first.pk, "a", 1),
        (third.pk, "b", 1),
    ]
    alone = Job.claim(tried.id, "me")
    assert alone is not None
    assert not list(alone.claim_company(8, lambda: next(owners), methods=LEARNED_TOGETHER))


def test_nobody_joins_a_batch_while_another_kind_of_job_is_next(here):
    leader, steer, waits, urgent = queued(8, 8, 8, 8)
    Job.objects.filter(pk=steer.pk).update(method="steer")
    Job.objects.filter(pk=urgent.pk).update(priority=1)
    leader = Job.claim(leader.id, "me")
    assert leader is not None

    def join() -> list:
        return [job.pk for job in leader.claim_company(8, new_owner, methods=LEARNED_TOGETHER, in_turn=True)]

    assert join() == [urgent.pk]
    assert join() == []
    assert Job.claim(steer.id, "another worker") is not None
    assert join() == [waits.pk]


def test_who_comes_while_others_learn_joins_them_and_leaves_alone(here, monkeypatch, assert_as_if_alone):
    """The newcomers come due between two steps; one of them is cancelled while the other is proven."""
    first, brief, leaves = queued(40, 8, 40)
    Job.objects.filter(pk__in=(brief.pk, leaves.pk)).update(not_before=timezone.now() + timedelta(days=1))
    newcomers, prove, asked = Batch.newcomers, pipeline.prove, []

    def after_two_steps(self, learning: int):
        asked.append(learning)
        if len(asked) == 3:
            Job.objects.filter(pk__in=(brief.pk, leaves.pk)).update(not_before=None)
        return newcomers(self, learning)

    def slow(work, artifact) -> None:
        if work.job == brief:
            leaves.cancel()
            time.sleep(LEASE_SECONDS / 2)  # its lease is renewed meanwhile
        prove(work, artifact)

    monkeypatch.setattr(batch, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(Batch, "newcomers", after_two_steps)
    monkeypatch.setattr(pipeline, "prove", slow)
    run_job(str(first.id))
    assert asked[:4] == [1, 1, 1, 3]
    for job in (first, brief, leaves):
        job.refresh_from_db()
    assert [job.state for job in (first, brief, leaves)] == ["done", "done", "cancelled"]
    assert brief.finished_at < first.finished_at
    assert not Artifact.objects.filter(job=leaves).exists()
    run_job(str(brief.id))  # its own message finds nothing to do
    assert_as_if_alone([first, brief])


def test_a_batch_looks_for_newcomers_now_and_then_and_not_for_ever(here, monkeypatch):
    first, second = queued(8, 8)
    claimed = Job.claim(first.id, new_owner())
    assert claimed is not None
    with Batch(claimed) as some:
        for name, closed, opened in (("LOOK_SECONDS", 60.0, 0.0), ("OPEN_SECONDS", 0.0, 60.0)):
            monkeypatch.setattr(batch, name, closed)
            assert some.newcomers(1) == []
            monkeypatch.setattr(batch, name, opened)
        assert some.newcomers(8) == []
        assert [attempt.job for attempt in some.newcomers(1)] == [second]


def test_on_a_cpu_nobody_waits_for_others_unless_the_operator_says_so(here, settings):
    settings.ALIGN_TRAIN_TOGETHER = 0
    first, second = queued(8, 8)
    run_job(str(first.id))
    for job in (first, second):
        job.refresh_from_db()
    assert (first.state, second.state) == (Job.State.DONE, Job.State.QUEUED)
