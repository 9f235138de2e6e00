"""Blind repeats: what is offered, that nothing learns from them, and how agreement is counted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from alignapp.chat.errors import Refused
from alignapp.feedback.forms import FeedbackForm
from alignapp.feedback.models import Feedback
from alignapp.feedback.records import records_for
from alignapp.feedback.repeats import consistency, offers, record_repeat
from alignapp.feedback.services import record_feedback
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db


def rated(person, *scores: int, days: int = 5):
    """A turn rated some days ago: answer i has score i."""
    answers = [f"answer {i} of {scores}" for i in range(len(scores))]
    turn, replies = answered_turn(conversation_of(person), *answers, text=f"Question {scores}?")
    for reply, score in zip(replies, scores, strict=True):
        record_feedback(person, turn, "rating", reply=reply, score=score)
    Feedback.objects.filter(turn=turn).update(created_at=timezone.now() - timedelta(days=days))
    return turn, replies


def better_of(offer) -> str:
    """Which of the two shown was rated higher before."""
    score = {f.reply_id: f.score for f in Feedback.objects.filter(turn=offer.turn, kind="rating")}
    return "first" if score[offer.first.id] > score[offer.second.id] else "second"


def test_old_clear_pairs_are_offered_in_the_other_order_and_once(owner):
    _turn, (low, high) = rated(owner, 20, 80)
    rated(owner, 50, 55)  # too near to say anything
    rated(owner, 20, 80, days=1)  # too fresh
    (offer,) = offers(owner)
    assert (offer.first, offer.second) == (high, low)
    record_repeat(owner, offer.turn.id, "first")
    assert offers(owner) == []
    with pytest.raises(Refused, match="not on offer"):
        record_repeat(owner, offer.turn.id, "first")


def test_many_acts_later_counts_as_long_ago(owner, settings):
    settings.REPEAT_AFTER_ACTS = 4
    rated(owner, 20, 80, days=1)
    assert offers(owner) == []
    rated(owner, 50, 50, 50, 50, days=0)
    assert len(offers(owner)) == 1


def test_agreement_is_counted_with_what_was_said_before_it(owner):
    for i in range(4):
        rated(owner, 10 + i, 90)
    for offer, answer in zip(offers(owner), ("same", "same", "alike", "other"), strict=True):
        same = better_of(offer)
        other = "first" if same == "second" else "second"
        record_repeat(owner, offer.turn.id, {"same": same, "other": other, "alike": "alike"}[answer])
    found = consistency(owner)
    assert found is not None
    assert (found.agreed, found.estimate.n) == (2.5, 4)
    assert found.estimate.low < 2.5 / 4 < found.estimate.high
    assert "2.5 of 4 blind repeats" in found.words
    # A later change of mind is not what the repeat agreed with.
    for act in Feedback.objects.filter(kind="rating"):
        record_feedback(owner, act.turn, "rating", reply=act.reply, score=100 - (act.score or 0))
    assert consistency(owner) == found
    Feedback.objects.filter(kind="rating").delete()
    assert consistency(owner) is None


def test_nothing_learns_from_a_repeat(owner):
    rated(owner, 20, 80)
    before = records_for(owner)
    (offer,) = offers(owner)
    record_repeat(owner, offer.turn.id, "first" if better_of(offer) == "second" else "second")
    assert records_for(owner) == before
    row = Feedback.objects.get(kind="repeat")
    assert (row.protocol, row.blind) == ("repeat-blind-pair", True)
    assert [entry["reply"] for entry in row.shown] == [str(offer.first.id), str(offer.second.id)]


def test_a_repeat_cannot_be_given_as_ordinary_feedback(owner):
    form = FeedbackForm({"kind": "repeat"})
    assert not form.is_valid()
    assert "its own page" in form.first_error()


def test_the_page_goes_from_pair_to_pair_and_tells_the_result(owner, client_of):
    client, url = client_of(owner), reverse("feedback:pair")
    assert "No pair waits" in client.get(reverse("feedback:consistency")).content.decode()
    rated(owner, 20, 80)
    rated(owner, 10, 60, 90)
    assert "2 pairs wait" in client.get(reverse("feedback:consistency")).content.decode()
    for number in range(2):
        offer = offers(owner)[0]
        html = client.get(url, {"done": number}).content.decode()
        assert f"{number + 1} of 2" in html
        assert offer.first.text in html
        for told in ("80", "Rating", "base", "alignment"):
            assert f">{told}<" not in html
        data = {"turn": offer.turn.id, "answer": better_of(offer), "done": number}
        assert client.post(url, data)["Location"] == f"{url}?done={number + 1}"
    assert client.get(url, {"done": 2})["Location"] == reverse("feedback:consistency")
    assert "2 of 2 blind repeats" in client.get(reverse("feedback:consistency")).content.decode()
    assert "2 of 2 blind repeats" in client.get(reverse("adapters:alignment")).content.decode()


def test_a_foreign_pair_is_not_there(owner, other, client_of):
    turn, _replies = rated(owner, 20, 80)
    url, data = reverse("feedback:pair"), {"turn": turn.id, "answer": "first"}
    assert client_of(other).post(url, data).status_code == 302
    assert client_of(other).post(url, data, headers={"accept": "application/json"}).status_code == 400
    assert not Feedback.objects.filter(kind="repeat").exists()
