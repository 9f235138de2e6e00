"""Stated values act by themselves where a direction was measured to work; the page says what holds them."""

from __future__ import annotations

import pytest
from django.urls import reverse

from alignapp.accounts.consent import give_consent
from alignapp.accounts.steps import steps_for
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.services import current_alignment, switch, switch_on
from alignapp.profiles.services import current_profile, new_version, set_strengths, strengths_of
from tests.web import learned

pytestmark = pytest.mark.django_db
STATE, AT_WORK = "/profile/values/", "/alignment/values/"
PLAIN, BRIEF, HUMOUR = "style.plain-words", "style.brief", "style.humour"


@pytest.fixture
def agreed(owner):
    """Let workers have offered the methods, and the owner have agreed to training."""
    learned.methods()
    give_consent(owner)


def state(client, *keys: str) -> str:
    return client.post(STATE, {"chosen": keys}, follow=True).content.decode()


def test_what_is_stated_is_put_to_work_at_once(owner, client_of, agreed) -> None:
    html = state(client_of(owner), PLAIN, BRIEF)
    assert "acts within about a minute" in html
    assert [job.method for job in Job.objects.for_person(owner)] == ["values"]


@pytest.mark.parametrize("key", [BRIEF, HUMOUR])
def test_nothing_is_learned_of_values_that_cannot_act(owner, client_of, agreed, key) -> None:
    assert "about a minute" not in state(client_of(owner), key)
    assert not Job.objects.exists()


def test_a_direction_that_was_not_measured_to_work_waits_for_its_slider(owner) -> None:
    chosen = [{"key": key, "importance": 3} for key in (PLAIN, BRIEF)]
    new_version(owner, "values", values={"chosen": chosen, "own": []})
    assert strengths_of(current_profile(owner)) == {PLAIN: 0.7, BRIEF: 0.0}
    set_strengths(owner, {BRIEF: 0.5})
    assert strengths_of(current_profile(owner)) == {PLAIN: 0.7, BRIEF: 0.5}


def test_values_that_somebody_switched_off_stay_off(owner, client_of, agreed) -> None:
    switch_on(owner, learned.artifact(owner, "values"))
    switch(owner, change="Switched off", values=None)
    state(client_of(owner), PLAIN)
    assert current_alignment(owner).values is None
    assert not Job.objects.for_person(owner).filter(state=Job.State.QUEUED).exists()


def test_what_the_gate_refused_is_said_where_one_looks_for_it(owner, client_of) -> None:
    artifact = learned.artifact(owner, "values", proven=False, safe=False)
    assert artifact.state == Artifact.State.QUARANTINED
    client = client_of(owner)
    new_version(owner, "values", values={"chosen": [{"key": PLAIN, "importance": 3}], "own": []})
    assert "It was put aside and shapes nothing." in client.get(AT_WORK).content.decode()
    part = (
        client.get(reverse("adapters:alignment"))
        .content.decode()
        .split('id="part-values"')[1]
        .split("</li>")[0]
    )
    assert "Quarantined" in part
    assert "Learn again" in part
    assert "Not learned yet" not in part


def test_a_card_of_values_says_what_each_does_and_nothing_of_what_was_not_asked(owner, client_of) -> None:
    report = {"win_rate": learned.estimate(0.97, 0.84, 0.99, n=32), "sound": True}
    card = {"safety": learned.results()["safety"], "values": [{"value": PLAIN, "weight": 0.7, **report}]}
    artifact = learned.artifact(owner, "values", card=card)
    html = client_of(owner).get(reverse("adapters:artifact", args=[artifact.id])).content.decode()
    assert "How often it shows more of the value" in html
    assert "Plain words" in html
    assert "97 %" in html
    assert "Seven kinds of metric" not in html


@pytest.mark.parametrize(
    ("method", "safe", "done"), [("values", True, 1), ("dpo", False, 1), ("dpo", True, 2)]
)
def test_learning_is_done_when_something_of_ratings_may_act(owner, method, safe, done) -> None:
    new_version(owner, "values", values={"chosen": [{"key": PLAIN, "importance": 3}], "own": []})
    learned.artifact(owner, method, proven=safe, safe=safe)
    assert sum(step.done for step in steps_for(owner, None)) == done
