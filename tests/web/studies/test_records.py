"""Whose rows of a project teach, and what becomes of several people's answers to one item."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignapp.accounts.consent import withdraw_consent
from alignapp.accounts.models import Person
from alignapp.annotation.access import Role
from alignapp.annotation.models import Item, Membership
from alignapp.annotation.services import items, projects
from alignapp.exchange.models import ImportedPerson
from alignapp.studies import records
from personalization.records import Message
from tests.web import studied

pytestmark = pytest.mark.django_db


def said(project) -> list[records.Answered]:
    people = [one.person_id for one in records.consenting(project)]
    return list(records.answered(project, people))


def test_only_people_who_agreed_here_and_on_their_account_teach(project):
    anna = studied.annotator(project, "anna")
    studied.annotator(project, "no", may_train=False)
    withdrawn = studied.annotator(project, "withdrawn")
    withdraw_consent(withdrawn.person)
    ticked = studied.annotator(project, "ticked")
    Membership.objects.filter(pk=ticked.pk).update(consented_at=None)
    gone = studied.annotator(project, "gone")
    projects.remove(gone)
    assert {one.person for one in said(project)} == {anna.person_id}
    project.consent_text = "Another text"
    project.save()
    assert said(project) == []  # nobody agreed to that


def test_what_a_file_says_of_consent_counts_for_the_people_that_it_names(project):
    for name, may in (("yes", True), ("no", False)):
        stand_in = Person.objects.create_user(f"{name}@imported.invalid", is_active=False)
        ImportedPerson.objects.create(project=project, name=name, person=stand_in)
        Membership.objects.create(project=project, person=stand_in, role=Role.ANNOTATOR, may_train=may)
        studied.says(project.items.first(), stand_in)
    assert {one.person.imported_as.name for one in records.consenting(project)} == {"yes"}
    assert len(said(project)) == 1


def test_repeats_gold_attention_and_items_that_may_not_be_trained_on_teach_nothing(project):
    member = studied.annotator(project, "anna")
    first = member.person.assignments.earliest("created_at")
    studied.says(first.item, member.person, studied.SHORT, repeat_of=first)
    items.add_items(
        project,
        [
            studied.item("gold", purpose=Item.Purpose.GOLD),
            studied.item("attention", purpose=Item.Purpose.ATTENTION),
            studied.item("private", may_train=False),
        ],
    )
    for one in project.items.filter(key__in=("gold", "attention", "private")):
        studied.says(one, member.person)
    found = said(project)
    assert len(found) == 10
    assert {str(one.item) for one in found} == {
        str(pk) for pk in project.items.filter(key__startswith="item").values_list("pk", flat=True)
    }


def test_a_persons_rows_become_records_as_in_their_own_chat(project):
    member = studied.annotator(project, "anna", rating=(80, 20))
    found = records.records_of(said(project))[member.person_id]
    assert len(found.pairs) == len(found.groups) == 10
    pair = found.pairs[0]
    assert pair.prompt == (Message("user", "Say item 0"),)
    assert (pair.chosen, pair.margin, pair.protocol) == ("item 0 at some length, indeed", 0.6, "pick-1-of-n")
    assert found.groups[0].scores == (80.0, 20.0)
    assert {source for one in found.pairs for source in one.sources} <= {
        str(pk) for pk in member.person.assignments.values_list("submissions__annotations", flat=True)
    }


def test_a_change_of_mind_counts_and_what_it_replaced_does_not(project):
    member = studied.annotator(project, "anna")
    assignment = member.person.assignments.get(item__key="item 3")
    other = next(one for one in assignment.candidates() if one.maker == studied.SHORT)
    from alignapp.annotation.services import answers

    answers.submit(assignment, {"pick-1-of-n": [str(other.id)]})
    pairs = records.records_of(said(project))[member.person_id].pairs
    assert len(pairs) == 10
    assert [one.chosen for one in pairs].count("item 3.") == 1


def test_items_of_one_conversation_are_held_out_together(project):
    project.items.filter(key__in=("item 0", "item 1")).update(extra={"conversation": "c"})
    studied.annotator(project, "anna")
    names = [one.conversation for one in said(project)]
    assert names.count("c") == 2
    assert len(set(names)) == 9


def test_of_picks_the_majority_decides_and_its_size_is_the_margin(project):
    for name, likes in (("a", studied.LONG), ("b", studied.LONG), ("c", studied.SHORT)):
        studied.annotator(project, name, likes)
    mean = records.mean_of_people(said(project))
    assert len(mean.pairs) == 10
    assert {round(one.margin, 6) for one in mean.pairs} == {round(1 / 3, 6)}
    assert all(one.chosen.endswith("indeed") for one in mean.pairs)
    assert len(mean.pairs[0].sources) == 3
    assert mean.groups == ()


def test_a_split_vote_is_a_tie_and_teaches_the_group_nothing(project):
    studied.annotator(project, "a", studied.LONG)
    studied.annotator(project, "b", studied.SHORT)
    mean = records.mean_of_people(said(project))
    assert (mean.pairs, mean.ties) == ((), 10)


def test_nobody_outvotes_others_by_using_the_slider_widely(project):
    # Two use a narrow part of the slider, one all of it: raw means would follow the one.
    studied.annotator(project, "a", studied.LONG, rating=(56, 44), pick=False)
    studied.annotator(project, "b", studied.LONG, rating=(60, 50), pick=False)
    studied.annotator(project, "c", studied.SHORT, rating=(100, 1), pick=False)
    mean = records.mean_of_people(said(project))
    assert all(one.chosen.endswith("indeed") for one in mean.pairs)
    # Everybody's two values are one deviation from their mean: 25 points of 100 each way.
    assert {round(one.margin, 6) for one in mean.pairs} == {round(0.5 / 3, 6)}
    assert {tuple(round(score, 3) for score in one.scores) for one in mean.groups} == {
        (round(50 + 25 / 3, 3), round(50 - 25 / 3, 3))
    }


def test_the_scale_is_read_from_what_is_learned_from_only(project):
    member = studied.annotator(project, "a", rating=(60, 40), pick=False)
    assignment = member.person.assignments.get(item__key="item 0")
    assignment.submissions.get().annotations.filter(kind="rating").update(score=100)
    found = said(project)
    held_out = next(one.conversation for one in found if one.prompt[0].content == "Say item 0")
    learned_from = {one.conversation for one in found} - {held_out}
    mean = records.mean_of_people(found, scale_on=learned_from)
    assert {one.margin for one in mean.pairs} == {0.5}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 100), min_size=3, max_size=3), min_size=1, max_size=4), st.randoms())
def test_the_mean_is_the_same_whoever_is_asked_first_and_whatever_scale_each_uses(ratings, order):
    import uuid
    from types import SimpleNamespace

    candidates = tuple(SimpleNamespace(id=uuid.UUID(int=n), text=f"t{n}") for n in range(3))

    def person(number, scores):
        words = tuple(
            records.Word(uuid.uuid4(), "rating", "slider-1-100", one.id, float(score), None, None, "")
            for one, score in zip(candidates, scores, strict=True)
        )
        return records.Answered(
            uuid.UUID(int=number), uuid.UUID(int=9), "c", (Message("user", "?"),), candidates, words
        )

    people = [person(n, scores) for n, scores in enumerate(ratings)]
    wider = [person(n, [10 + 0.5 * score for score in scores]) for n, scores in enumerate(ratings)]
    shuffled = list(people)
    order.shuffle(shuffled)

    def told(found):
        mean = records.mean_of_people(found)
        return {(one.chosen, one.rejected): pytest.approx(one.margin) for one in mean.pairs}

    assert told(shuffled) == told(people) == told(wider)
