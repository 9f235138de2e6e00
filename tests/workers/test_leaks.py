"""What is held out stays held out, from the rows to the report card: leaks that were planted are caught."""

from __future__ import annotations

import pytest

from alignapp.adapters.models import Artifact, Job, MethodInfo
from alignapp.chat.models import Conversation
from alignapp.feedback.services import record_feedback
from personalization.errors import Leak, NotEnoughData
from tests.web.rows import answered_turn, conversation_of
from tests.workers.test_jobs import person_with_pairs, start
from workers import pipeline
from workers.tasks.train import run_job

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def method(engine):
    """What the worker of the tiny model would have written."""
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")


@pytest.fixture
def person():
    return person_with_pairs("leak@example.org", conversations=6)


def tell_again(person, text: str) -> Conversation:
    """Return a new conversation with an answer that the person has rated in another."""
    conversation = conversation_of(person)
    turn, replies = answered_turn(conversation, text, f"Something else than {text}")
    for reply, score in zip(replies, (90, 10), strict=True):
        record_feedback(person, turn, "rating", reply=reply, score=score)
    return conversation


def read(job: Job) -> pipeline.Work:
    """Do the first stage of an attempt, and give the job back."""
    claimed = Job.claim(job.id, "test")
    assert claimed is not None
    try:
        return pipeline._read(claimed, lambda: None)
    finally:
        claimed.release()


def test_the_same_answer_in_two_conversations_is_on_one_side(person):
    for _ in range(12):  # whatever the draw
        job = start(person)
        first = Conversation.objects.for_person(person).order_by("created_at").first()
        again = tell_again(person, " yes, 0")
        held_out = set(read(job).held_out.conversations)
        assert (str(first.id) in held_out) == (str(again.id) in held_out)
        assert held_out
        Job.objects.filter(pk=job.pk).update(state=Job.State.CANCELLED)
        again.delete()


def test_a_held_out_pair_that_slips_into_training_ends_the_job_before_it_learns(person):
    """The split was drawn at the first attempt; then the person says the same in a new conversation."""
    job = start(person)
    work = read(job)
    split, told = work.job.split, work.held_out.pairs[0]
    copy = tell_again(person, told.chosen)
    Job.objects.filter(pk=job.pk).update(split={**split, "train": [*split["train"], str(copy.id)]})
    with pytest.raises(Leak, match="prove nothing"):
        read(job)
    run_job(str(job.id))
    job.refresh_from_db()
    assert job.state == Job.State.DEAD
    assert job.reason.startswith("1 of the held-out conversations hold what was learned from")
    assert not Artifact.objects.filter(job=job).exists()


def test_conversations_that_all_hold_the_same_cannot_be_split():
    person = person_with_pairs("same@example.org", conversations=1)
    for _ in range(7):
        tell_again(person, "Yes, 0.")
    with pytest.raises(NotEnoughData, match=r"^1 different conversations have feedback"):
        read(start(person, min_pairs=1))
