"""What a person does in a conversation: candidates, limits, stop, retry, comparison."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from alignapp.chat import candidates, services, streams
from alignapp.chat.errors import Refused
from alignapp.chat.models import Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.instant.models import InstantChoice
from alignapp.limits import TooMany, take
from alignapp.profiles.models import ProfileVersion
from personalization.engine.requests import Sampling
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def with_message(owner):
    """The owner has a system message."""
    ProfileVersion.objects.create(
        person=owner, number=1, changed_section="values", system_message="You answer briefly."
    )
    return owner


def test_a_first_message_gets_as_many_different_candidates_as_the_person_wants(with_message):
    turn = services.start_turn(conversation_of(with_message), "  Why is the sky blue?  ")
    replies = list(turn.replies.all())
    assert turn.text == "Why is the sky blue?"
    assert [r.position for r in replies] == [0, 1, 2, 3]
    assert Counter(r.maker for r in replies) == {"base": 1, "system_message": 1, "sampling": 2}
    assert len({r.sampling["seed"] for r in replies}) == 4
    assert {r.status for r in replies} == {"queued"}
    assert all(r.system_message == ("" if r.maker == "base" else "You answer briefly.") for r in replies)
    assert turn.is_blind
    drawn_again = {r.maker_words for r in replies if r.maker == "sampling"}
    assert drawn_again == {"With your system message, another draw"}


def test_without_candidates_the_most_personal_maker_answers_alone_and_openly(with_message):
    with_message.candidate_count = 1
    turn = services.start_turn(conversation_of(with_message), "Hello")
    assert [r.maker for r in turn.replies.all()] == ["system_message"]
    assert not turn.is_blind


def test_an_unpersonalised_conversation_asks_the_base_model_only(with_message):
    turn = services.start_turn(conversation_of(with_message, personalised=False), "Hello")
    assert {r.system_message for r in turn.replies.all()} == {""}
    assert Counter(r.maker for r in turn.replies.all()) == {"base": 1, "sampling": 3}
    assert {r.maker_words for r in turn.replies.all()} == {"Base model", "Base model, another draw"}


def test_the_order_shown_is_drawn(with_message):
    makers = candidates.distinct_makers(with_message, personalised=True)
    orders = {tuple(c.maker for c in candidates.plan(makers, 2, random.Random(seed))) for seed in range(40)}
    # Either order; the chance to miss one in 40 draws is 2e-12.
    assert orders == {("base", "system_message"), ("system_message", "base")}


def test_a_later_message_goes_on_from_the_chosen_answer_and_is_recorded_as_a_follow_up(owner):
    conversation = conversation_of(owner)
    first, (_, two) = answered_turn(conversation, "one", "two")
    turn = services.start_turn(conversation, "And then?", parent=two)
    first.refresh_from_db()
    assert turn.parent == two
    assert first.chosen == two
    assert turn.replies.count() == 2
    follow_up = Feedback.objects.get()
    assert (follow_up.kind, follow_up.reply, follow_up.text) == ("follow_up", two, "And then?")


def test_a_message_that_is_too_long_is_refused_before_anything_is_queued(owner, settings):
    settings.MAX_PROMPT_CHARACTERS = 10
    with pytest.raises(Refused, match=r"has 12 characters; 10 are possible. Shorten it by 2"):
        services.start_turn(conversation_of(owner), "x" * 12)
    assert not Turn.objects.exists()


def test_the_reply_after_the_limit_is_never_queued_and_other_people_are_not_held_up(owner, other, settings):
    settings.REPLIES_PER_MINUTE = 8
    conversation = conversation_of(owner)
    for _ in range(2):
        services.start_turn(conversation, "Hello")
    with pytest.raises(TooMany, match="more than 8 answers a minute"):
        services.start_turn(conversation, "Hello")
    assert Reply.objects.count() == 8
    services.start_turn(conversation_of(other), "Hello")


def test_who_is_one_answer_over_the_limit_waits_one_second():
    limited = {"capacity": 60, "per_seconds": 60, "what": "answers"}
    take("replies", "somebody", 60, **limited)
    with pytest.raises(TooMany, match=r"Wait 1 second, then"):
        take("replies", "somebody", 1, **limited)


def test_a_parent_of_another_conversation_is_refused(owner, other):
    _, (foreign,) = answered_turn(conversation_of(other), "secret")
    with pytest.raises(Refused, match="another conversation"):
        services.start_turn(conversation_of(owner), "Hello", parent=foreign)


def test_going_on_without_a_pick_takes_the_best_rated_answer_or_asks(owner):
    turn, (one, two) = answered_turn(conversation_of(owner), "one", "two")
    with pytest.raises(Refused, match="Pick the answer"):
        services.go_on_from(turn)
    for reply, score in ((one, 90), (one, 20), (two, 60)):
        Feedback.objects.create(
            person=owner, turn=turn, kind="rating", protocol="x", reply=reply, score=score
        )
    assert services.go_on_from(turn) == two


def test_editing_makes_a_branch_beside_the_old_turn(owner):
    turn, _ = answered_turn(conversation_of(owner), "one", "two")
    branch = services.edit(turn, "Something else")
    assert branch.parent is None
    assert branch.id != turn.id
    turn.refresh_from_db()
    assert turn.text == "Hello"


def test_stopping_a_queued_reply_ends_it_at_once_and_a_running_one_is_asked_to(owner):
    turn = services.start_turn(conversation_of(owner), "Hello")
    running, *queued = turn.replies.all()
    running.status = Reply.Status.RUNNING
    running.lease_owner, running.lease_until = "w", timezone.now() + timedelta(seconds=30)
    running.save()
    services.stop_turn(turn)
    running.refresh_from_db()
    assert running.status == "running"
    assert streams.is_cancelled(running.id)
    assert {Reply.objects.get(pk=r.pk).status for r in queued} == {"stopped"}


def test_stopping_a_reply_whose_worker_is_gone_keeps_what_was_written(owner):
    _, (reply,) = answered_turn(conversation_of(owner), "")
    reply.status, reply.lease_owner = Reply.Status.RUNNING, "gone"
    reply.lease_until = timezone.now() - timedelta(seconds=1)
    reply.save()
    streams.publish(reply.id, "token", text="Half an ")
    streams.publish(reply.id, "token", text="answer")
    services.stop(reply)
    reply.refresh_from_db()
    assert (reply.status, reply.text) == ("stopped", "Half an answer")


def test_trying_again_is_for_failed_and_stalled_replies_only(owner):
    _, (reply,) = answered_turn(conversation_of(owner), "fine")
    with pytest.raises(Refused, match="nothing to try again"):
        services.retry(reply)
    Reply.objects.filter(pk=reply.pk).update(status="failed", error="Out of memory", text="Half")
    streams.publish(reply.id, "token", text="Half")
    services.retry(reply)
    reply.refresh_from_db()
    assert (reply.status, reply.text, reply.error) == ("queued", "", "")
    assert streams.text_so_far(reply.id) == ""
    assert reply.sampling["seed"] == 0


def test_the_comparison_shares_sampling_and_seed_is_made_once_and_ends_the_blindness(owner):
    turn, (personal, base) = answered_turn(conversation_of(owner), "mine", "plain")
    comparison = services.compare_with_base(personal)
    assert services.compare_with_base(personal) == comparison
    assert comparison.is_comparison
    assert comparison.maker == "base"
    assert Sampling(**comparison.sampling) == Sampling(**personal.sampling)
    assert (comparison.system_message, comparison.interventions) == ("", [])
    turn.refresh_from_db()
    assert not turn.is_blind
    with pytest.raises(Refused, match="base model's own"):
        services.compare_with_base(base)


def test_deleting_a_conversation_takes_its_rows_and_its_broker_keys(owner):
    turn, (reply,) = answered_turn(conversation_of(owner), "secret words")
    streams.publish(reply.id, "token", text="secret words")
    services.delete(turn.conversation)
    assert not Reply.objects.exists()
    assert not streams.connection().keys("reply:*")


@pytest.mark.parametrize("is_rated", [True, False])
def test_deleting_what_was_never_rated_leaves_the_vector_of_ratings_alone(
    owner, is_rated, django_capture_on_commit_callbacks
):
    conversation = conversation_of(owner)
    turn, (reply,) = answered_turn(conversation, "one")
    if is_rated:
        record_feedback(owner, turn, "rating", reply=reply, score=80)
    with django_capture_on_commit_callbacks(execute=True):
        services.delete(conversation)
    assert InstantChoice.objects.filter(person=owner).exists() == is_rated  # a refresh makes the row
