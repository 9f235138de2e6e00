"""An operator in a real browser: second factor, overview, a job found, a person's words for a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from alignapp.accounts.models import Person
from alignapp.adapters.models import Job
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.panel import measures
from tests.browser.looking import PHONE, look
from tests.browser.people import (
    enter_panel,
    enter_password_first,
    new_member,
    new_person,
    reveal_conversations,
)
from tests.web.rows import answered_turn, conversation_of

Of = Enrolment.State


@pytest.fixture
def operator(transactional_db) -> tuple[Person, str]:
    return new_member("op", "operator")


def test_an_operator_finds_a_job_and_looks_at_words_for_a_reason(page, operator):
    owner = new_person("owner")
    answered_turn(conversation_of(owner), "an answer", text="my words")
    job = Job.objects.create(person=owner, method="dpo", state="dead", reason="ValueError: my words")
    measures.measure()
    enter_panel(page, *operator)
    page.get_by_role("heading", name="Overview").wait_for()
    page.goto("/operate/")
    assert page.get_by_text("Tokens a second").first.is_visible()
    look(page, "operate-overview")

    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_label("Id, or its beginning").fill(str(job.id)[:8])
    page.get_by_role("button", name="Filter").click()
    look(page, "operate-jobs")
    page.get_by_role("link", name=str(job.id)[:8]).click()
    assert page.get_by_text("ValueError", exact=True).is_visible()
    assert page.get_by_text("my words").count() == 0
    look(page, "operate-job")

    page.get_by_role("link", name=owner.pseudonym).click()
    enter_password_first(page)
    look(page, "operate-person")
    reveal_conversations(page, "They asked what went wrong")
    assert page.get_by_text("my words").is_visible()
    page.goto("/operate/audit/")
    assert page.get_by_text("They asked what went wrong").is_visible()
    look(page, "operate-audit")
    assert page.problems == []


def test_a_campaigns_outcomes_are_seen_whole_on_a_phone_and_an_outage_as_a_gap(page, operator):
    rates = {Of.MOVED: 0.71, Of.NOT_PROVEN: 0.55, Of.LOST: 0.42, Of.REFUSED: 0.66, Of.FAILED: None}
    campaign = Campaign.objects.create(
        name="Anew with a larger margin", method="dpo", started_by="terminal", wave=1, state="done",
        reason="40% of 5 people lost more than 10 points of win rate; at most 30% may.",
    )  # fmt: skip
    for state, after in rates.items():
        owner = new_person(f"in-{state}")
        campaign.enrolments.create(person=owner, wave=1, state=state, before=0.6, after=after)
    now = timezone.now()
    for minutes in (50, 49, 48, 12, 11, 10, 5, 3, 2):
        measures.measure(now - timedelta(minutes=minutes))
    enter_panel(page, *operator)
    page.get_by_role("heading", name="Overview").wait_for()
    look(page, "operate-overview-outage")
    page.goto(f"/operate/campaigns/{campaign.pk}/")
    page.get_by_text("Done, but its rule says stop").wait_for()
    look(page, "operate-campaign")
    page.set_viewport_size(PHONE)
    table = page.get_by_role("group", name="Outcomes", exact=True)
    assert table.evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    page.reload()
    here = page.get_by_role("navigation", name="Panel").get_by_role("link", name="Campaigns", exact=True)
    expect(here).to_be_in_viewport(ratio=1)
    assert page.problems == []
