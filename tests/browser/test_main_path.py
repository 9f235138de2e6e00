"""A person's whole way, in a real browser on the real model: from signing up to a switched-on adapter."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.chat.models import Reply
from alignapp.feedback.services import record_feedback
from tests.browser.looking import look
from tests.browser.people import PASSWORD
from tests.web.rows import answered_turn, conversation_of


def sign_up(page) -> Person:
    page.goto("/")
    look(page, "landing")
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Email").fill("browser@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label(re.compile("again", re.IGNORECASE)).fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    # The browser itself holds the form back: the consent is required.
    expect(page.get_by_role("heading", name="Sign up")).to_be_visible()
    page.get_by_label("I have read this and agree").check()
    look(page, "sign-up")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="What comes next")).to_be_visible()
    return Person.objects.get(email="browser@example.org")


def state_values(page) -> None:
    page.goto("/profile/values/")
    page.get_by_label(re.compile("own words", re.IGNORECASE)).first.fill("Use simple, everyday words.")
    expect(page.locator("#preview")).to_contain_text("Use simple, everyday words.")
    look(page, "values")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/profile/message/")
    expect(page.get_by_label(re.compile("message", re.IGNORECASE)).first).to_have_value(
        re.compile("simple, everyday words")
    )


def answer_inventory_page(page) -> None:
    page.goto("/profile/personality/page/1/")
    for question in page.locator("fieldset").all()[:10]:
        question.locator("input[type=radio]").nth(3).check(force=True)
    look(page, "inventory")
    page.reload()
    expect(page.locator("input[type=radio]:checked")).to_have_count(10)


def chat_and_rate(page) -> None:
    page.goto("/chat/")
    page.get_by_label("Your message").fill("How do I boil an egg?")
    look(page, "chat-list")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("[data-score]")).to_have_count(4, timeout=60_000)
    look(page, "chat-rated")
    for position in range(4):
        page.locator("[data-score]").nth(position).focus()
        for _ in range(position + 1):
            page.keyboard.press("PageUp")
        page.wait_for_timeout(600)
    expect(page.locator("details[id^=shaped-]")).to_have_count(4)
    page.locator("button.pick").first.click()
    expect(page.get_by_role("button", name=re.compile("Picked"))).to_have_count(1)


def learn(page, person: Person) -> Artifact:
    # Rating seven more conversations by hand would only repeat what was tested above.
    for i in range(7):
        turn, replies = answered_turn(
            conversation_of(person),
            f"An egg takes {i + 5} minutes. Put it in hot water.",
            f"The preparation necessitates approximately {i + 5} minutes of uninterrupted immersion.",
            text=f"How long does egg number {i} take?",
        )
        for reply, score in zip(replies, (92, 11), strict=True):
            record_feedback(person, turn, "rating", reply=reply, score=score)
    page.goto("/alignment/")
    look(page, "alignment-ready")
    page.locator("#learn-dpo").get_by_role("button", name=re.compile("learn", re.IGNORECASE)).click()
    expect(page).to_have_url(re.compile("/alignment/jobs/"))
    expect(page.locator("progress").first).to_be_visible()
    # The page asks again by itself until the job has ended.
    expect(page.locator("#job-state")).to_contain_text("It has learned", timeout=600_000)
    expect(page.get_by_role("link", name=re.compile("Report card"))).to_be_visible()
    look(page, "job-done")
    job = Job.objects.get(person=person)
    assert job.state == Job.State.DONE, job.reason
    return Artifact.objects.get(job=job)


def switch_on_and_chat(page, person: Person, artifact: Artifact) -> None:
    page.goto(f"/alignment/artifacts/{artifact.id}/")
    look(page, "report-card")
    page.request.post(
        f"/alignment/artifacts/{artifact.id}/on",
        form={"accept_unproven": "on"},
        headers={"X-CSRFToken": csrf(page), "Referer": page.url},
    )
    page.goto("/alignment/")
    look(page, "alignment-on")
    page.goto("/chat/")
    page.get_by_label("Your message").fill("How do I cook rice?")
    page.keyboard.press("Enter")
    expect(page.locator("[data-score]")).to_have_count(4, timeout=60_000)
    made = Reply.objects.filter(turn__text="How do I cook rice?")
    own = [r for r in made if r.maker == Reply.Maker.ALIGNMENT]
    assert len(own) == 1
    assert own[0].interventions[0]["digest"] == artifact.digest
    assert own[0].status == Reply.Status.DONE


def csrf(page) -> str:
    return next(c["value"] for c in page.context.cookies() if c["name"] == "csrftoken")


@pytest.mark.timeout(900)
def test_from_signing_up_to_an_aligned_answer(page, workers):
    person = sign_up(page)
    state_values(page)
    answer_inventory_page(page)
    chat_and_rate(page)
    artifact = learn(page, person)
    switch_on_and_chat(page, person, artifact)
    page.goto("/account/")
    look(page, "account")
    assert page.problems == []
