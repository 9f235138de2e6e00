"""What a study reports, and how much it takes to say anything."""

from __future__ import annotations

import json
import random

import pytest

from alignapp.studies import report, withdrawal
from alignapp.studies.report import MIN_CONVERSATIONS, SIGNIFICANT, kept, outcomes_of, report_of
from tests.web.studied import scored

pytestmark = pytest.mark.django_db


def test_the_report_says_for_whom_their_own_adapter_beats_the_groups(study):
    arms = {arm.person.email.split("@")[0]: arm for arm in study.arms.select_related("person")}
    random.seed(0)
    scored(arms["anna"], [(0.5, 0.0, 1.0)] * 18 + [(0.5, 1.0, 0.0)] * 2)
    scored(arms["bert"], [(0.5, float(i % 2), float((i // 2) % 2)) for i in range(20)])
    scored(arms["carl"], [(0.5, 0.0, 1.0)] * 3)
    found = report_of(list(study.arms.select_related("person")))
    by_person = {one.person: one for one in found.people}
    verdicts = {name: by_person[str(arm.person)].verdict for name, arm in arms.items()}
    assert verdicts == {"anna": "own", "bert": "open", "carl": "few"}
    anna = by_person[str(arms["anna"].person)]
    assert anna.accuracy["own"].value == pytest.approx(0.9)
    assert anna.accuracy["group"].value == pytest.approx(0.1)
    assert anna.difference.value == pytest.approx(0.8)
    assert 0 < anna.difference.low < 0.8 < anna.difference.high <= 1
    assert found.overall is not None
    assert found.overall.n == 43
    assert "learning each of them alone pays" in found.words[0]
    assert "all 3 asked together: their own is better for 1" in found.words[2]


def test_comparisons_of_one_item_are_one_observation_and_one_item_says_nothing(study):
    arm = study.arms.first()
    scored(arm, [(0.5, 0.0, 1.0)] * 30, count=1)
    (one,) = report_of([arm]).people
    assert one.verdict == "few"
    assert one.as_dict()["own_minus_group"]["low"] is None
    assert json.dumps(one.as_dict())


def test_it_is_worked_out_once_until_other_scores_come_or_somebody_leaves(study, monkeypatch):
    for arm in study.arms.all():
        scored(arm, [(0.5, 0.0, 1.0)] * 12 + [(0.5, 1.0, 0.0)] * 2)
    scored(study.arms.last(), [(0.5, 0.0, 1.0)] * 2)  # without ends of an interval

    def arms():
        return list(study.arms.select_related("person"))

    first = kept(study, arms())
    assert first == report_of(arms())
    study.refresh_from_db()
    asked = []
    monkeypatch.setattr(report, "report_of", lambda found: asked.append(found) or report_of(found))
    assert kept(study, arms()) == first
    assert asked == []
    scored(study.arms.first(), [(0.5, 1.0, 0.0)] * 14)
    assert kept(study, arms()) != first
    assert len(asked) == 1
    withdrawal.withdraw(study.arms.first().person)
    study.refresh_from_db()
    assert study.found == {}


def test_only_comparisons_that_both_adapters_were_asked_about_count(study):
    arm = study.arms.first()
    arm.group_scores = {"a": ["c", 1, 1], "b": ["c", 1, 0]}
    arm.own_scores = {"b": ["c", 1, 1], "z": ["d", 0, 0]}
    assert [(one.group, one.own) for one in outcomes_of(arm)] == [(0.0, 1.0)]
    assert report_of([]).overall is None


def test_as_many_items_are_needed_as_can_decide_anything(study):
    arm = study.arms.first()
    for count, verdict in ((MIN_CONVERSATIONS - 1, "few"), (MIN_CONVERSATIONS, "own")):
        scored(arm, [(0.5, 0.0, 1.0)] * count)
        (one,) = report_of([arm]).people
        assert one.verdict == verdict
        assert (2 / 2**count < SIGNIFICANT) == (verdict == "own")
        assert one.as_dict()["own_minus_group"]["low"] is None  # alike items give no interval
