"""Thinking longer: who is offered it, what it asks for, and what it costs of a person's answers."""

from __future__ import annotations

import pytest
from django.urls import reverse

from alignapp.accounts.consent import give_consent, withdraw_consent
from alignapp.chat import candidates, services
from alignapp.chat.errors import Refused
from alignapp.chat.models import Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.instant import services as instant
from alignapp.instant.models import PersonalReward
from alignapp.limits import TooMany
from tests.web.rows import answered_turn, conversation_of, reward_of, states_of

pytestmark = pytest.mark.django_db(transaction=True)  # what follows a rating follows its commit


def rate_prompts(person, count: int) -> None:
    for _ in range(count):
        turn, replies = answered_turn(conversation_of(person), "one", "two", "three")
        states_of(replies)
        for reply, score in zip(replies, (90, 50, 10), strict=True):
            record_feedback(person, turn, Feedback.Kind.RATING, reply=reply, score=score)


def test_ratings_make_a_reward_that_orders_answers_and_goes_with_consent(owner):
    give_consent(owner)
    rate_prompts(owner, 2)
    assert not PersonalReward.objects.exists()  # two prompts cannot be held out and learned from
    rate_prompts(owner, 6)
    reward = instant.reward_of(owner)
    assert reward.summary["ratings"] == 24
    assert reward.percent == 100
    assert reward.head().of(_states())[0] > reward.head().of(_states())[2]
    withdraw_consent(owner)
    instant.refresh(owner)
    assert not PersonalReward.objects.exists()


def _states():
    import numpy as np

    states = np.zeros((3, 3, 16), dtype=np.float32)
    states[:, :, 0] = np.asarray([[8.0], [4.0], [0.0]])
    return states


def test_a_turn_that_is_thought_about_longer_gets_one_answer_of_several_attempts(owner):
    reward_of(owner)
    turn = services.start_turn(conversation_of(owner), "Hello", think_longer=True)
    (reply,) = turn.replies.all()
    assert reply.decoding == {"best_of": candidates.BEST_OF}
    assert reply.attempts == candidates.BEST_OF
    assert not turn.is_blind
    assert services.start_turn(conversation_of(owner), "Hello").replies.first().attempts == 1


def test_every_attempt_counts_as_an_answer(owner, settings):
    reward_of(owner)
    settings.REPLIES_PER_MINUTE = 2 * candidates.BEST_OF - 1
    services.start_turn(conversation_of(owner), "Hello", think_longer=True)
    with pytest.raises(TooMany):
        services.start_turn(conversation_of(owner), "Hello again", think_longer=True)


@pytest.mark.parametrize("useful", [False, None])
def test_without_a_reward_that_is_worth_it_nothing_is_queued(owner, useful):
    if useful is not None:
        reward_of(owner, useful=useful)
    with pytest.raises(Refused, match="Rate the answers"):
        services.start_turn(conversation_of(owner), "Hello", think_longer=True)
    assert not Turn.objects.exists()


def test_where_nothing_of_the_person_acts_their_reward_does_not_either(owner):
    reward_of(owner)
    with pytest.raises(Refused, match="Personalised"):
        services.start_turn(conversation_of(owner, personalised=False), "Hello", think_longer=True)


def test_the_page_offers_it_with_its_cost_to_whom_it_helps_only(owner, other, client_of):
    reward_of(owner)
    reward_of(other, useful=False)
    for person, offered in ((owner, True), (other, False)):
        conversation = conversation_of(person)
        answered_turn(conversation, "one")
        for page in (reverse("chat:list"), reverse("chat:conversation", args=[conversation.id])):
            words = client_of(person).get(page).content.decode()
            assert ('name="think_longer"' in words) == offered
            assert ("4 times the work" in words) == offered


def test_the_box_and_the_button_ask_for_it(owner, client_of):
    reward_of(owner)
    client, conversation = client_of(owner), conversation_of(owner)
    client.post(reverse("chat:send", args=[conversation.id]), {"text": "Hello", "think_longer": "on"})
    first = Reply.objects.get()
    assert first.attempts == candidates.BEST_OF
    Reply.objects.update(status=Reply.Status.DONE, text="One.")
    client.post(reverse("chat:regenerate", args=[first.turn_id]), {"think_longer": "on"})
    assert Reply.objects.exclude(pk=first.pk).get().attempts == candidates.BEST_OF


def test_the_answer_says_what_was_done(owner, client_of):
    conversation = conversation_of(owner)
    _turn, (reply,) = answered_turn(conversation, "one")
    Reply.objects.filter(pk=reply.pk).update(
        decoding={"best_of": 4, "chosen": 2, "tokens": 321}, token_count=80
    )
    words = client_of(owner).get(reverse("chat:conversation", args=[conversation.id])).content.decode()
    assert "Best of 4" in words
    assert "321 tokens for the 80 shown" in words


def test_a_refused_message_keeps_its_text(owner, client_of):
    conversation = conversation_of(owner)
    page = client_of(owner).post(
        reverse("chat:send", args=[conversation.id]), {"text": "My words", "think_longer": "on"}
    )
    assert "My words" in page.content.decode()
    assert "Rate the answers" in page.content.decode()
