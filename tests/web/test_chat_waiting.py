"""The queue of replies: it is bounded, shared by people, and says how many come before one."""

from __future__ import annotations

import pytest

from alignapp.accounts.models import Person
from alignapp.chat import services, streams
from alignapp.chat.models import Reply, Turn
from alignapp.chat.waiting import ahead_of, next_one
from alignapp.limits import TooMany
from tests.web.rows import conversation_of

pytestmark = pytest.mark.django_db


def waiting(person: Person, count: int = 1) -> list[Reply]:
    """Return replies that wait, each to a message of its own."""
    talk = conversation_of(person)
    turns = [Turn.objects.create(conversation=talk, text="Hello") for _ in range(count)]
    return [Reply.objects.create(turn=turn, position=0, maker=Reply.Maker.BASE) for turn in turns]


def taken(count: int, named: Reply) -> list[Reply]:
    """Let a worker take so many replies, each time woken for the same one."""
    found = []
    for number in range(count):
        reply = Reply.claim(next_one(named.id), f"worker-{number}")
        assert reply is not None
        found.append(reply)
    return found


def owners(replies: list[Reply]) -> list[Person]:
    return [reply.turn.conversation.person for reply in replies]


def test_who_asks_for_many_waits_for_their_own_and_nobody_else_does(owner, other):
    many, (late,) = waiting(owner, 6), waiting(other)
    assert taken(1, many[3]) == [many[3]]  # of equals the one that the message names
    assert taken(1, many[4]) == [late]  # whoever has none under way comes first
    more = waiting(other, 2)
    assert owners(taken(4, many[0])) == [owner, other, owner, other]
    assert next_one(more[0].id) == many[2].id  # who has none waiting gives their turn away


def test_of_one_persons_replies_the_longest_waiting_comes_first(owner):
    first, second = waiting(owner, 2)
    gone = Reply(id=first.pk)
    Reply.claim(second.id, "a worker")
    later = waiting(owner)[0]
    assert next_one(second.id) == first.id
    assert taken(2, gone) == [first, later]
    assert next_one(first.id) is None


def test_a_person_may_fill_a_share_of_the_queue_only(owner, other, settings):
    settings.REPLIES_PER_MINUTE, settings.MAX_WAITING_REPLIES = 8, 20
    streams.connection().flushdb()
    waiting(owner, 5)
    with pytest.raises(TooMany, match="5 of your answers are waiting already") as refused:
        services.start_turn(conversation_of(owner), "Hello")
    assert refused.value.retry_after_seconds > 0
    services.start_turn(conversation_of(other), "Hello")
    assert Reply.objects.filter(turn__conversation__person=other).count() == 4


def test_a_full_queue_refuses_everybody_and_queues_nothing(owner, other, settings):
    settings.MAX_WAITING_REPLIES = 6
    waiting(owner, 3)
    with pytest.raises(TooMany, match="Too many people are asking at the moment"):
        services.start_turn(conversation_of(other), "Hello")
    assert not Turn.objects.for_person(other).exists()
    other.candidate_count = 3
    services.start_turn(conversation_of(other), "Hello")
    assert Reply.objects.count() == 6


def test_a_waiting_reply_knows_how_many_come_before_it(owner, other, django_assert_num_queries):
    many = waiting(owner, 5)
    late, later = waiting(other, 2)
    assert [ahead_of(reply) for reply in many] == [0, 1, 2, 3, 4]
    with django_assert_num_queries(3):  # and one for the person
        found = ahead_of(Reply.objects.select_related("turn__conversation").get(pk=late.pk))
    assert found == 1
    assert ahead_of(later) == 3
