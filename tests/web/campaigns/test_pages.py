"""What operators do with campaigns, on the pages and in a terminal."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.audit.models import AuditEvent
from alignapp.campaigns import running
from alignapp.campaigns.models import Campaign, Enrolment
from tests.web.campaigned import begin, open_jobs, people, through, tick
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
Of = Enrolment.State


@pytest.fixture
def operator():
    return signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))


def test_an_operator_plans_starts_pauses_and_resumes_on_the_pages(operator):
    people(3)
    plan = reverse("panel:plan_campaign")
    assert "Say what it would do" in operator.get(plan).content.decode()
    fields = {
        "name": "Autumn", "method": "dpo", "whom": "active", "wave_size": "2", "margin": "10",
        "most_lost": "30", "most_refused": "20", "switch_on": "on", "parameters": "beta=0.2",
    }  # fmt: skip
    wrong = operator.get(plan, {**fields, "parameters": "beta"}).content.decode()
    assert "beta is no name=number." in wrong
    for given, field, words in (
        ({"parameters": "beta=9"}, "parameters", "beta is 9; it must lie in [0.01, 1]."),
        ({"parameters": "gamma=1"}, "parameters", "There is no parameter of dpo named"),
        ({"method": "prove", "kind": ""}, "kind", "Say what is proven again"),
        ({"method": "prove", "kind": "adapter"}, "parameters", "Proving again has no parameters"),
    ):
        form = operator.get(plan, {**fields, **given}).context["form"]
        assert words in str(form.errors[field])
        assert form["name"].value() == "Autumn"
    assert "3 people" in operator.get(plan, fields).content.decode()
    start = reverse("panel:start_campaign")
    refused = operator.post(start, {**fields, "reason": "colder days", "typed": "2"})
    assert refused.status_code == 400
    assert 'value="colder days"' in refused.content.decode()
    page = operator.post(start, {**fields, "reason": "colder days", "typed": "3"}, follow=True)
    campaign = Campaign.objects.get()
    assert (campaign.parameters, campaign.margin, campaign.switch_on) == ({"beta": 0.2}, 0.1, True)
    assert "the first wave begins" in page.content.decode()
    for job in open_jobs(tick(campaign)):
        through(job, rate=0.7)
    tick(campaign)
    one = reverse("panel:campaign", args=[campaign.pk])
    text = operator.get(one).content.decode()
    assert "2 of 3 people are through" in text
    assert "Change of the win rate, points" in text
    part = operator.get(one, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith("<section")
    act = {name: reverse("panel:act_on_campaign", args=[campaign.pk, name]) for name in running.BY_NAME}
    assert operator.post(act["pause"], {"reason": ""}).status_code == 400
    paused = operator.post(act["pause"], {"reason": "look"}, follow=True).content.decode()
    assert "Undo" in paused
    assert operator.post(act["pause"], {"reason": "look"}).status_code == 400
    operator.post(act["resume"], {"reason": "fine"})
    assert operator.post(act["cancel"], {"reason": "end", "typed": "Winter"}).status_code == 400
    operator.post(act["cancel"], {"reason": "end", "typed": "Autumn"})
    campaign.refresh_from_db()
    assert campaign.state == "cancelled"
    assert campaign in Campaign.open_ones()  # somebody's job was taken back and is not written down yet
    tick(campaign)
    assert campaign not in Campaign.open_ones()
    verbs = AuditEvent.objects.filter(object_id=str(campaign.pk)).values_list("verb", flat=True)
    assert set(verbs) == {f"campaign.{did}" for did in ("started", "paused", "resumed", "cancelled")}
    listed = operator.get(reverse("panel:campaigns")).content.decode()
    assert "2 of 3" not in listed
    assert "3 of 3" in listed


def test_the_pages_cost_the_same_however_many_people(operator, django_assert_max_num_queries):
    everybody = people(1)
    campaign = begin()
    Enrolment.objects.bulk_create(
        Enrolment(campaign=campaign, person=p, wave=i % 9, state=Of.MOVED, before=0.5, after=0.6)
        for i, p in enumerate(
            Person.objects.bulk_create(Person(email=f"q{i}@example.org") for i in range(70))
        )
    )
    assert everybody
    with django_assert_max_num_queries(20):
        page = operator.get(reverse("panel:campaign", args=[campaign.pk]))
    assert len(page.context["listing"].rows) == 50
    with django_assert_max_num_queries(10):
        operator.get(reverse("panel:campaigns"))


def test_the_terminal_does_the_same():
    people(2)

    def told(*arguments: str) -> object:
        out = StringIO()
        call_command("campaigns", *arguments, "--json", stdout=out)
        return json.loads(out.getvalue())

    assert told("plan", "dpo", "--wave", "1")["waves"] == 2
    begun = told("start", "dpo", "--wave", "1", "--set", "beta=0.2", "--reason", "why")
    assert (begun["people"], begun["parameters"]) == (2, {"beta": 0.2})
    with pytest.raises(CommandError, match="open already"):
        told("start", "dpo", "--reason", "why")
    short = begun["id"][:8]
    assert told("pause", short, "--reason", "look")["state"] == "paused"
    assert told("resume", short, "--reason", "on")["state"] == "running"
    assert told("show", short)["outcomes"]["waiting"] == 2
    assert [row["name"] for row in told("list")] == ["dpo"]
    with pytest.raises(CommandError, match="0 campaigns"):
        told("show", "ffffffff")


def test_a_campaign_that_ended_against_its_rule_does_not_look_like_one_that_went_well(operator):
    people(2)
    campaign = tick(begin())
    for job in open_jobs(campaign):
        through(job, rate=0.3)
    tick(campaign)
    one = operator.get(reverse("panel:campaign", args=[campaign.pk])).content.decode()
    listed = operator.get(reverse("panel:campaigns")).content.decode()
    for page in (one, listed):
        assert '<span class="badge bad">Done, but its rule says stop</span>' in page
    assert campaign.reason.replace(";", "") in one.replace(";", "")
    assert "What you can do" not in one  # nothing is left to resume or cancel
