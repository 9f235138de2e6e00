"""Fresh answers are judged blind: the page tells nothing, each pair counts once, the card shows the rest."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from alignapp.adapters import duels
from alignapp.adapters.errors import Refused
from alignapp.adapters.models import Artifact, Judgement
from tests.web import learned

FRESH = [{"prompt": f"Question {i}?", "base": f"plain {i}", "artifact": f"mine {i}"} for i in range(8)]


@pytest.fixture
def artifact(owner) -> Artifact:
    same = {"prompt": "Same?", "base": "alike", "artifact": " alike"}
    return learned.artifact(owner, card={**learned.results(), "fresh": [*FRESH, same]})


def url(artifact: Artifact) -> str:
    return reverse("adapters:duel", args=[artifact.id])


def test_every_pair_is_offered_once_and_the_sides_are_mixed_but_stay(artifact, owner) -> None:
    offered = duels.waiting(artifact)
    assert [one.prompt for one in offered] == [one["prompt"] for one in FRESH]  # none for the same words
    # Of eight coins all fall alike once in 128 runs, of forty never.
    more = [learned.artifact(owner, card={**learned.results(), "fresh": FRESH}) for _ in range(4)]
    mixed = [*offered, *(one for each in more for one in duels.waiting(each))]
    assert {one.artifact_first for one in mixed} == {True, False}
    assert duels.waiting(artifact) == offered
    assert all((one.first if one.artifact_first else one.second) == f"mine {one.position}" for one in offered)


def test_a_person_judges_all_and_the_card_says_how_often_theirs_won(artifact, owner, client_of) -> None:
    client = client_of(owner)
    card = client.get(reverse("adapters:artifact", args=[artifact.id])).content.decode()
    assert "8 pairs wait" in card
    assert "mine 1" not in card
    for number in range(1, 9):
        html = client.get(url(artifact)).content.decode()
        assert f"{number} of 8" in html
        assert "base_model" not in html
        shown = re.findall(r'<p class="quote" dir="auto">(mine|plain) \d</p>', html)
        assert sorted(shown) == ["mine", "plain"]
        position = re.search(r'name="position" value="(\d+)"', html)
        answer = "alike" if number == 8 else ("first", "second")[shown.index("mine")]
        done = client.post(url(artifact), {"position": position[1], "answer": answer})
        assert done.status_code == 302
    assert client.get(url(artifact)).url == reverse("adapters:artifact", args=[artifact.id])
    won = duels.won(artifact)
    assert (won.value, won.n) == (7.5 / 8, 8)
    card = client.get(reverse("adapters:artifact", args=[artifact.id])).content.decode()
    assert "Fresh answers that you judged blind" in card
    assert "94 %" in card
    assert "pairs wait" not in card


def test_a_pair_is_judged_once_and_only_when_it_exists(artifact) -> None:
    duels.judge(artifact, 3, "first")
    for position, answer in ((3, "second"), (8, "first"), (99, "first"), (4, "both")):
        with pytest.raises(Refused):
            duels.judge(artifact, position, answer)
    assert Judgement.objects.count() == 1


def test_a_form_without_an_answer_is_refused_in_words(artifact, owner, client_of) -> None:
    answer = client_of(owner).post(url(artifact), {"position": "1"}, follow=True)
    assert "Say which of the two answers is better" in answer.content.decode()
    assert not Judgement.objects.exists()


def test_nobody_else_judges(artifact, other, client_of) -> None:
    assert client_of(other).post(url(artifact), {"position": "1", "answer": "first"}).status_code == 404


def test_an_artifact_without_fresh_answers_leads_back_to_its_card(owner, client_of) -> None:
    plain = learned.artifact(owner)
    assert duels.won(plain) is None
    assert client_of(owner).get(url(plain)).status_code == 302


def test_controls_stand_beside_the_artifact_on_the_card(owner, client_of) -> None:
    arm = {"accuracy": learned.estimate(0.5, 0.3, 0.7, 10), "ahead": learned.estimate(0.2, -0.1, 0.5, 10)}
    found = {**learned.results(), "comparisons": {"artifact": arm, "random": arm, "others": arm}}
    found["ability"] = {"base": 0.8, "artifact": 0.75, "change": learned.estimate(-0.05, -0.12, -0.01)}
    html = client_of(owner).get(reverse("adapters:artifact", args=[learned.artifact(owner, card=found).id]))
    shown = html.content.decode()
    assert "A random change of the same size" in shown
    assert "What other tastes would teach" in shown
    assert "80 % → 75 %" in shown
    assert "change \N{MINUS SIGN}12 to \N{MINUS SIGN}1 points" in shown


def test_without_fresh_answers_nobody_is_told_that_all_are_judged(owner, client_of) -> None:
    page = client_of(owner).get(url(learned.artifact(owner)), follow=True).content.decode()
    assert "There is nothing to judge" in page
    assert "All fresh answers are judged" not in page
