"""An operator in a real browser: second factor, overview, a job found, a person's words for a reason."""

from __future__ import annotations

import time

import pytest
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value

from alignapp.accounts.models import Person
from alignapp.adapters.models import Job
from alignapp.panel import measures, roles
from tests.browser.looking import look
from tests.browser.people import PASSWORD, enter, new_person
from tests.web.rows import answered_turn, conversation_of


@pytest.fixture
def operator(transactional_db) -> tuple[Person, str]:
    person = new_person("op")
    secret = generate_totp_secret()
    TOTP.activate(person, secret)
    roles.grant(person, "operator", "for the test")
    return person, secret


def code(secret: str, *, later: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + later))


def test_an_operator_finds_a_job_and_looks_at_words_for_a_reason(page, operator):
    owner = new_person("owner")
    answered_turn(conversation_of(owner), "an answer", text="my words")
    job = Job.objects.create(person=owner, method="dpo", state="dead", reason="ValueError: my words")
    measures.measure()
    person, secret = operator
    page.goto("/operate/")
    enter(page, person)
    page.get_by_label("Code").fill(code(secret))
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
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
    page.get_by_role("link", name="Enter your password first").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Go on").click()
    look(page, "operate-person")
    page.get_by_label("What", exact=True).select_option("conversations")
    page.get_by_label("Reason").fill("They asked what went wrong")
    page.get_by_role("button", name="Reveal").click()
    assert page.get_by_text("my words").is_visible()
    page.goto("/operate/audit/")
    assert page.get_by_text("They asked what went wrong").is_visible()
    look(page, "operate-audit")
    assert page.problems == []
