"""What the annotation benchmark finds in the database: nothing where all is well, and what was planted."""

from __future__ import annotations

import pytest

from alignapp.annotation.models import Annotation, Assignment, Item, Submission
from alignapp.annotation.services import answers
from benchmarks.annotation.checks import verify
from tests.web.annotated import claimed, member_of, project_of

RATE = {"name": "slider-1-100", "required": True}
PICK = {"name": "pick-1-of-n", "required": True}


@pytest.fixture
def told(owner):
    """What an annotator was told of two submissions, of one item each."""
    project = project_of(owner, count=2, protocols=[PICK, RATE])
    member = member_of(project, "ann")
    rows = []
    for _ in range(2):
        one = claimed(member)
        form = {"pick-1-of-n": [one.order[0]]}
        for candidate in one.order:
            form |= {f"slider-1-100.{candidate}": ["50"], f"touched.slider-1-100.{candidate}": ["on"]}
        kept = answers.submit(one, form)
        scores = dict.fromkeys(one.order, 50)
        said = {"pick": one.order[0], "scores": scores, "submission": str(kept.id)}
        rows.append({"what": "told", "assignment": str(one.id), **said})
    return rows


NOTHING = ("lost", "doubled", "over_assigned", "miscounted", "under_assigned")


def wrong(rows) -> dict[str, int]:
    found = verify(rows)
    return {key: found[key] for key in NOTHING if found[key]}


def test_nothing_is_wrong_where_all_is_well(told):
    assert wrong(told) == {}
    assert verify(told)["told"] == 2


def test_what_is_missing_or_other_than_sent_is_lost(told):
    Annotation.objects.filter(submission=told[0]["submission"], kind="rating").update(score=51)
    assert wrong(told) == {"lost": 1}
    Submission.objects.all().delete()
    assert wrong(told) == {"lost": 2, "doubled": 2}


def test_a_version_that_nobody_was_told_of_is_doubled(told):
    assert wrong(told[:1]) == {"doubled": 1}


def test_an_item_that_too_many_or_too_few_judge_is_found(told, other):
    first = Assignment.objects.first()
    Assignment.objects.create(
        item=first.item, annotator=other, order=first.order, strategy="fill", lease_until=first.lease_until
    )
    assert wrong(told) == {"over_assigned": 1, "miscounted": 1}
    Item.objects.filter(pk=first.item_id).update(wanted=3)
    assert wrong(told) == {"miscounted": 1, "under_assigned": 1}
