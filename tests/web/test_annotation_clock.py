"""A project's time limit: what is complete is taken, the rest goes to somebody else, typed words stay."""

from __future__ import annotations

import pytest
from django.urls import reverse

from alignapp.annotation.errors import Incomplete, Refused, TimeIsUp
from alignapp.annotation.models import Assignment, Item, Submission
from alignapp.annotation.services import answers, queue
from tests.web.annotated import claimed, member_of, pick, project_of

pytestmark = pytest.mark.django_db
COMMENT = {"name": "free-comment", "required": False}
PICK = {"name": "pick-1-of-n", "required": True}
WORDS = {"free-comment": ["Half an hour of thought."]}


@pytest.fixture
def member(owner):
    return member_of(project_of(owner, time_limit_seconds=30, protocols=[PICK, COMMENT]), "ann")


def test_within_the_time_all_is_as_without_a_limit(member):
    one = claimed(member)
    with pytest.raises(Incomplete):
        answers.submit(one, WORDS, active_ms=29_000)
    assert answers.submit(one, pick(one), active_ms=29_999).duration_ms == 29_999


def test_what_is_complete_when_the_time_ends_is_taken(member):
    one = claimed(member)
    assert answers.submit(one, pick(one), active_ms=31_000).number == 1


@pytest.mark.parametrize(("form", "active_ms"), [(WORDS, 30_000), ("complete", 36_000)])
def test_what_is_not_complete_or_too_late_goes_to_somebody_else_and_is_kept(member, form, active_ms):
    one = claimed(member)
    form = pick(one) | WORDS if form == "complete" else form
    with pytest.raises(TimeIsUp):
        answers.submit(one, form, active_ms=active_ms)
    row = Assignment.objects.get()
    assert (row.state, row.draft["free-comment"]) == ("discarded", WORDS["free-comment"])
    assert row.item.taken == 0
    assert not Submission.objects.exists()
    with pytest.raises(Refused, match="over"):
        queue.reopen(row)
    assert claimed(member_of(member.project, "bob")).item == row.item
    assert queue.claim_next(member) is None


def test_the_time_of_drafts_counts_and_a_submitted_answer_stays_as_it_was(member):
    one = claimed(member)
    answers.save_draft(one, pick(one), number=0, active_ms=20_000)
    one.refresh_from_db()
    answers.submit(one, pick(one), active_ms=0)
    one.refresh_from_db()
    with pytest.raises(TimeIsUp, match="stays"):
        answers.submit(one, pick(one, 1), active_ms=40_000)
    assert Assignment.objects.get().state == "submitted"
    assert Submission.objects.count() == 1


def test_a_script_is_told_that_the_item_is_gone_and_a_form_goes_on(member, client_of):
    one = claimed(member)
    client = client_of(member.person)
    page = reverse("annotation:work", args=[one.id])
    assert b'data-limit-ms="30000"' in client.get(page).content
    said = client.post(page, {"active_ms": "30000"}, headers={"Accept": "application/json"})
    assert (said.status_code, said.json()["aside"]) == (409, True)
    Assignment.objects.update(state="pending")
    Item.objects.update(taken=1)
    said = client.post(page, {"active_ms": "30000"}, follow=True)
    assert "somebody else gets it" in said.content.decode()
