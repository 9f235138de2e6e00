"""Rows become records: which act counts, what is left out, and what holds for any history."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alignapp.chat.models import Reply
from alignapp.feedback.models import Feedback
from alignapp.feedback.opinions import MINIMUM_DIFFERENCE
from alignapp.feedback.records import records_for
from alignapp.feedback.services import record_feedback
from personalization.records import Message, Records
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db


def _rate(person, turn, replies, *scores):
    for reply, score in zip(replies, scores, strict=True):
        record_feedback(person, turn, "rating", reply=reply, score=score)


def test_ratings_become_pairs_with_their_difference_and_one_group(owner):
    turn, replies = answered_turn(conversation_of(owner), "a", "b", "c", text="Why?")
    _rate(owner, turn, replies, 80, 30, 78)
    records = records_for(owner)
    assert {(p.chosen, p.rejected, p.margin) for p in records.pairs} == {("a", "b", 0.5), ("c", "b", 0.48)}
    assert records.ties == 1  # 80 and 78 say the same
    (group,) = records.groups
    assert (group.completions, group.scores) == (("a", "b", "c"), (80.0, 30.0, 78.0))
    assert group.prompt == (Message("user", "Why?"),)
    assert group.conversation == str(turn.conversation_id)


def test_the_latest_act_decides_and_the_contradiction_is_counted(owner):
    turn, (a, b) = answered_turn(conversation_of(owner), "a", "b")
    _rate(owner, turn, (a, b), 80, 20)
    record_feedback(owner, turn, "pick", reply=b)
    records = records_for(owner)
    assert [(p.chosen, p.rejected, p.margin, p.protocol) for p in records.pairs] == [
        ("b", "a", 1.0, "pick-1-of-n")
    ]
    assert records.contradictions == 1
    _rate(owner, turn, (a, b), 80, 20)
    assert [(p.chosen, p.margin) for p in records_for(owner).pairs] == [("a", 0.6)]


def test_a_pick_beats_every_other_answer_and_none_is_good_takes_it_back(owner):
    turn, (_, b, _) = answered_turn(conversation_of(owner), "a", "b", "c")
    record_feedback(owner, turn, "pick", reply=b)
    assert {(p.chosen, p.rejected) for p in records_for(owner).pairs} == {("b", "a"), ("b", "c")}
    record_feedback(owner, turn, "pick")
    assert records_for(owner).pairs == ()


def test_a_ranking_gives_a_pair_for_each_step_and_ties_are_counted(owner):
    turn, (a, b, c) = answered_turn(conversation_of(owner), "a", "b", "c")
    record_feedback(owner, turn, "ranking", ranking=[[str(c.id)], [str(a.id), str(b.id)]])
    records = records_for(owner)
    assert {(p.chosen, p.rejected) for p in records.pairs} == {("c", "a"), ("c", "b")}
    assert records.ties == 1


def test_edits_thumbs_critiques_and_follow_ups(owner):
    turn, (a, b) = answered_turn(conversation_of(owner), "a", "b")
    record_feedback(owner, turn, "thumb", reply=a, thumb=1)
    record_feedback(owner, turn, "thumb", reply=a, thumb=-1)
    record_feedback(owner, turn, "edit", reply=a, text="better")
    record_feedback(owner, turn, "edit", reply=b, text="b")  # nothing was changed
    record_feedback(owner, turn, "critique", reply=b, text="Too cold.")
    record_feedback(owner, turn, "follow_up", reply=b, text="Go on")
    records = records_for(owner)
    assert [(t.completion, t.desirable) for t in records.thumbs] == [("a", False)]
    assert [(e.original, e.edited) for e in records.edits] == [("a", "better")]
    assert [(p.chosen, p.rejected, p.protocol) for p in records.pairs] == [("better", "a", "edited-answer")]
    assert [(c.completion, c.text) for c in records.critiques] == [("b", "Too cold.")]
    assert [(c.completion, c.text) for c in records.follow_ups] == [("b", "Go on")]


def test_the_prompt_is_the_branch_above_without_system_message_and_other_branches(owner):
    conversation = conversation_of(owner)
    _, (a, b) = answered_turn(conversation, "a", "b", text="One")
    answered_turn(conversation, "x", "y", text="Another branch", parent=a)
    second, replies = answered_turn(conversation, "c", "d", text="Two", parent=b)
    _rate(owner, second, replies, 90, 10)
    (pair,) = records_for(owner).pairs
    assert pair.prompt == (Message("user", "One"), Message("assistant", "b"), Message("user", "Two"))


def test_what_may_not_be_learned_from_is_left_out(owner, other):
    private, replies = answered_turn(conversation_of(owner, for_training=False), "a", "b")
    _rate(owner, private, replies, 90, 10)
    foreign, replies = answered_turn(conversation_of(other), "a", "b")
    _rate(other, foreign, replies, 90, 10)
    turn, replies = answered_turn(conversation_of(owner), "a", "b", "c", "d")
    _rate(owner, turn, replies, 90, 10, 20, 30)
    Reply.objects.filter(pk=replies[1].pk).update(status="stopped")
    Reply.objects.filter(pk=replies[2].pk).update(is_comparison=True)
    Reply.objects.filter(pk=replies[3].pk).update(text=" ")
    assert records_for(owner) == Records()
    assert len(records_for(other).pairs) == 1


SCORES = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 100)), min_size=1, max_size=16)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=SCORES)
def test_whatever_is_rated_in_whatever_order(owner, history):
    Feedback.objects.all().delete()
    turns = [answered_turn(conversation_of(owner), *(f"{t}{i}" for i in range(3))) for t in range(2)]
    replies = [(turn, reply) for turn, of_turn in turns for reply in of_turn]
    latest: dict[str, int] = {}
    for which, score in history:
        turn, reply = replies[which]
        record_feedback(owner, turn, "rating", reply=reply, score=score)
        latest[reply.text] = score
    records = records_for(owner)
    assert records == records_for(owner)
    for pair in records.pairs:
        assert latest[pair.chosen] - latest[pair.rejected] >= MINIMUM_DIFFERENCE
        assert pair.margin == (latest[pair.chosen] - latest[pair.rejected]) / 100
        assert pair.chosen[0] == pair.rejected[0]  # never across turns
    rated_twos = sum(a[0] == b[0] for a, b in itertools.combinations(latest, 2))
    assert len(records.pairs) + records.ties == rated_twos


def test_three_queries_are_enough(owner, django_assert_num_queries):
    for _ in range(5):
        turn, replies = answered_turn(conversation_of(owner), "a", "b")
        _rate(owner, turn, replies, 90, 10)
    with django_assert_num_queries(3):
        assert len(records_for(owner).pairs) == 5
