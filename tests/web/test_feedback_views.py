"""Giving feedback, and seeing and removing what one gave."""

import pytest
from django.urls import reverse

from alignapp.feedback.models import Feedback
from alignapp.profiles.models import ProfileVersion
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db

JSON = {"Accept": "application/json"}


@pytest.fixture
def turn(owner):
    turn, _ = answered_turn(conversation_of(owner), "one", "two", "three")
    return turn


@pytest.fixture
def give(owner, client_of, turn):
    """Post one act as the owner; returns the response."""
    client = client_of(owner)

    def post(**fields):
        return client.post(reverse("feedback:give", args=[turn.id]), fields, headers=JSON)

    return post


def test_a_rating_keeps_how_it_was_asked(give, turn, owner):
    profile = ProfileVersion.objects.create(person=owner, number=1, changed_section="values")
    one, two, three = turn.replies.all()
    response = give(kind="rating", reply=one.id, score=73, duration_ms=4200, input_kind="keyboard")
    assert response.status_code == 201
    row = Feedback.objects.get()
    assert (row.score, row.protocol, row.duration_ms, row.input_kind) == (
        73,
        "slider-1-100",
        4200,
        "keyboard",
    )
    assert row.blind
    assert row.profile_version == profile
    assert [entry["reply"] for entry in row.shown] == [str(r.id) for r in (one, two, three)]
    assert [entry["maker"] for entry in row.shown] == ["system_message", "base", "sampling"]


def test_makers_are_revealed_by_the_last_rating_and_later_acts_are_not_blind(give, turn):
    one, two, three = turn.replies.all()
    revealed = [give(kind="rating", reply=r.id, score=50).json()["revealed"] for r in (one, two, three)]
    assert revealed == [False, False, True]
    give(kind="thumb", reply=one.id, thumb=-1)
    assert [row.blind for row in Feedback.objects.all()] == [True, True, True, False]


def test_a_pick_chooses_and_reveals_and_a_change_of_mind_is_a_new_row(give, turn):
    one, two, _ = turn.replies.all()
    assert give(kind="pick", reply=one.id).json()["revealed"]
    give(kind="pick", reply=two.id)
    turn.refresh_from_db()
    assert turn.chosen == two
    assert Feedback.objects.filter(kind="pick").count() == 2


def test_all_bad_chooses_nothing(give, turn):
    assert give(kind="pick").status_code == 201
    turn.refresh_from_db()
    assert turn.chosen is None


def test_a_ranking_has_ties_and_comes_as_json_or_as_places(give, turn):
    one, two, three = (str(r.id) for r in turn.replies.all())
    places = {f"place-{one}": 2, f"place-{two}": 1, f"place-{three}": 2}
    assert give(kind="ranking", **places).status_code == 201
    assert give(kind="ranking", ranking=f'[["{one}"], ["{two}", "{three}"]]').status_code == 201
    assert [row.ranking for row in Feedback.objects.all()] == [[[two], [one, three]], [[one], [two, three]]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "rating", "reply": 0, "score": 0}, "score"),
        ({"kind": "rating", "reply": 0, "score": 101}, "score"),
        ({"kind": "rating", "reply": 0}, "between 1 and 100"),
        ({"kind": "rating", "score": 50}, "which answer"),
        ({"kind": "thumb", "reply": 0, "thumb": 3}, "thumb"),
        ({"kind": "edit", "reply": 0, "text": "  "}, "Write something"),
        ({"kind": "critique", "reply": 0}, "Write something"),
        ({"kind": "edit", "reply": 0, "text": "x" * 20_001}, "This has 20001 characters; at most 20000 fit."),
        ({"kind": "follow_up", "reply": 0, "text": "x"}, "send that"),
        ({"kind": "ranking", "ranking": '[["x"]]'}, "every answer a place"),
        ({"kind": "ranking", "ranking": '{"a": 1}'}, "list of places"),
        ({"kind": "ranking"}, "every answer a place"),
        ({"kind": "ranking", "place-x": "9" * 5000}, "every answer a place"),
        ({"kind": "nonsense"}, "nonsense"),
    ],
)
def test_an_act_that_does_not_fit_is_refused_in_words(give, turn, fields, words):
    if "reply" in fields:
        fields = {**fields, "reply": turn.replies.all()[fields["reply"]].id}
    response = give(**fields)
    assert response.status_code == 400
    assert words in response.json()["error"]
    assert not Feedback.objects.exists()


def test_answers_that_are_not_complete_or_not_of_this_turn_cannot_be_judged(give, turn, owner):
    _, (foreign,) = answered_turn(conversation_of(owner), "of another turn")
    assert "not one of this turn" in give(kind="rating", reply=foreign.id, score=5).json()["error"]
    turn.replies.filter(position=0).update(status="running")
    assert "Wait until" in give(kind="rating", reply=turn.replies.first().id, score=5).json()["error"]
    assert not Feedback.objects.exists()


def test_a_foreign_turn_and_a_foreign_answer_answer_404(turn, other, client_of):
    address = reverse("feedback:give", args=[turn.id])
    fields = {"kind": "rating", "reply": str(turn.replies.first().id), "score": 5}
    assert client_of(other).post(address, fields).status_code == 404
    assert client_of(None).post(address, fields).status_code == 302
    mine, _ = answered_turn(conversation_of(other), "mine")
    assert client_of(other).post(reverse("feedback:give", args=[mine.id]), fields).status_code == 404
    assert not Feedback.objects.exists()


def test_the_page_lists_filters_and_links_what_was_given(give, turn, owner, other, client_of):
    give(kind="critique", reply=turn.replies.first().id, text="Too long for me")
    give(kind="thumb", reply=turn.replies.first().id, thumb=1)
    page = client_of(owner).get(reverse("feedback:list")).content.decode()
    assert "Too long for me" in page
    assert f"/chat/{turn.conversation_id}/?turn={turn.id}" in page
    only = client_of(owner).get(reverse("feedback:list"), {"kind": "thumb"}).content.decode()
    assert "Too long for me" not in only
    empty = client_of(other).get(reverse("feedback:list")).content.decode()
    assert "Too long for me" not in empty
    assert "You have shown nothing yet" in empty


def test_an_act_can_be_removed_by_the_person_who_gave_it_only(give, turn, owner, other, client_of):
    give(kind="thumb", reply=turn.replies.first().id, thumb=1)
    address = reverse("feedback:erase", args=[Feedback.objects.get().id])
    assert client_of(other).post(address).status_code == 404
    assert client_of(None).post(address).status_code == 302
    assert Feedback.objects.exists()
    assert client_of(owner).post(address).status_code == 302
    assert not Feedback.objects.exists()
