"""Attention checks: what they say is done or missed, counted once an item, told, in the end in the way."""

from __future__ import annotations

import pytest
from django.urls import reverse

from alignapp.annotation.errors import Refused
from alignapp.annotation.item_form import ItemForm
from alignapp.annotation.models import Item
from alignapp.annotation.services import answers, attention, items, queue
from alignapp.quality.figures import figures_of
from tests.web.annotated import claimed, member_of, project_of

pytestmark = pytest.mark.django_db
PICK = {"name": "pick-1-of-n", "required": True}
RATE = {"name": "slider-1-100", "required": True}
TYPED = {"prompt": "Why?", "answers": "So.\n---\nNot so.", "purpose": "attention"}


def check(project, **typed) -> Item:
    """Add an attention check as the page does, and return it."""
    form = ItemForm(TYPED | typed, project=project)
    assert form.is_valid(), form.errors
    items.add_items(project, [form.item()])
    return project.items.get(key=form.item().key)


def answer(member, pick: str = "none", scores=(1, 1)):
    """Submit the member's next item."""
    one = claimed(member)
    form = {"pick-1-of-n": [pick]}
    for candidate, score in zip(one.candidates(), scores, strict=True):
        form |= {f"slider-1-100.{candidate.id}": [str(score)], f"touched.slider-1-100.{candidate.id}": ["on"]}
    answers.submit(one, form)


@pytest.fixture
def project(owner):
    return project_of(owner, count=3, gold_share=1.0, protocols=[PICK, RATE])


def test_the_instruction_stands_on_the_page_and_names_no_place(project):
    assert check(project).prompt == "Why?\n\nTo show that you read this, choose “All are bad” here."
    lowest = check(project, check="lowest")
    assert lowest.expected == {"slider-1-100": {"0": [1, 15], "1": [1, 15]}}


@pytest.mark.parametrize(
    ("asked", "typed", "field", "words"),
    [
        ([RATE], {}, "check", "does not ask which is better"),
        ([PICK], {"check": "lowest"}, "check", "asks for no rating"),
        ([PICK], {"answers": "One."}, "check", "two answers or more"),
        ([PICK], {"check": "best"}, "best", "which answer is the right one"),
        ([PICK], {"purpose": "gold"}, "best", "which answer is the right one"),
        ([PICK], {"purpose": "gold", "best": "1", "answers": "a\n---\nb\n---\nc"}, "answers", "2 answers at"),
    ],
)
def test_what_nobody_could_answer_is_refused_in_words(owner, asked, typed, field, words):
    form = ItemForm(TYPED | typed, project=project_of(owner, protocols=asked, candidates_shown=2))
    assert not form.is_valid()
    assert words in form.errors[field].as_text()


@pytest.mark.parametrize(
    ("kind", "pick", "scores", "missed"),
    [
        ("none", "none", (90, 1), 0),
        ("none", "tie", (1, 1), 1),
        ("tie", "tie", (1, 1), 0),
        ("tie", "none", (1, 1), 1),
        ("lowest", "tie", (1, 15), 0),
        ("lowest", "tie", (1, 16), 1),
    ],
)
def test_what_a_check_says_is_done_or_missed(project, kind, pick, scores, missed):
    check(project, check=kind)
    member = member_of(project, "ann")
    answer(member, pick, scores)
    assert attention.of_member(member) == attention.Checks(1, missed)


def test_a_check_is_no_gold_and_counts_once_whatever_is_asked(project):
    check(project)
    member = member_of(project, "ann")
    answer(member, "tie")
    found = {one["key"]: one for one in figures_of(project)}
    (row,) = found["attention"]["rows"]
    assert (row["value"], row["n"], row["flagged"]) == (0.0, 1, False)
    assert "0 of 1 attention checks" in found["attention"]["words"]
    assert not found["gold"]["rows"]
    assert {row["label"]: row["value"] for row in found["progress"]["rows"]}["attention check"] == 1


def test_who_misses_too_many_is_told_then_stopped_and_let_go_on_by_a_manager(project, owner, client_of):
    project.attention_limit = 2
    project.save()
    member = member_of(project, "ann")
    check(project)
    check(project, prompt="How?")
    answer(member, "tie")
    page = reverse("annotation:work", args=[claimed(member).id])
    assert b"You missed 1 attention check" in client_of(member.person).get(page).content
    answer(member, "tie")
    with pytest.raises(Refused, match="2 attention checks"):
        queue.claim_next(member)
    home = reverse("annotation:project", args=[project.id])
    assert b"a manager can let you go on" in client_of(member.person).get(home).content
    manager = client_of(owner)
    people = reverse("annotation:people", args=[project.id])
    assert f"Let {member.person} go on" in manager.get(people).content.decode()
    manager.post(reverse("annotation:pardon", args=[member.id]))
    member.refresh_from_db()
    assert queue.claim_next(member) is not None
    (row,) = next(one for one in figures_of(project) if one["key"] == "attention")["rows"]
    assert row["flagged"]
    assert attention.of_member(member).missed == 2
