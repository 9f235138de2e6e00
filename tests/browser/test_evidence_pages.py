"""Report card, consistency, said and shown: in a real browser, by keyboard, in both widths and schemes."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from alignapp.accounts.models import Person
from alignapp.feedback.models import Feedback, GapResolution
from alignapp.feedback.services import record_feedback
from alignapp.profiles.services import new_version
from tests.browser.looking import look
from tests.browser.people import sign_in
from tests.web import learned
from tests.web.rows import answered_turn, conversation_of
from tests.web.test_adapters_kinds import measured

LONG = (
    "Put the eggs into boiling water, wait for about ten minutes, then cool them under cold water so that "
    "the shells come off easily. Fresh eggs need a little longer, and large ones do too."
)


def rate_conversations(person: Person, count: int) -> None:
    chosen = [{"key": "style.brief", "importance": 4}, {"key": "style.formal", "importance": 3}]
    new_version(person, "values", values={"chosen": chosen, "own": []})
    for i in range(count):
        turn, replies = answered_turn(
            conversation_of(person), f"{LONG} ({i})", f"Boil it for {i + 5} minutes.", text=f"Egg number {i}?"
        )
        for reply, score in zip(replies, (88, 20), strict=True):
            record_feedback(person, turn, "rating", reply=reply, score=score)
    Feedback.objects.filter(person=person).update(created_at=timezone.now() - timedelta(days=5))


def look_at_cards(page, person: Person) -> None:
    change = {"value": -0.02, "n": 8, "low": -0.09, "high": 0.05}
    writing = {
        "relevance_base": 0.6, "relevance_change": change,
        "repetition_base": 0.1, "repetition_change": change,
    }  # fmt: skip
    card = {**measured(), "writing": writing}
    card["accuracy"]["system_message"] = learned.estimate(0.52, 0.38, 0.66)
    older, newer = learned.artifact(person), learned.artifact(person, card=card)
    unsure = learned.artifact(person, "steer", proven=False, card=learned.results(low=0.46))
    for artifact, name in ((older, "card-older"), (newer, "card-calibrated"), (unsure, "card-unsure")):
        page.goto(f"/alignment/artifacts/{artifact.id}/")
        look(page, name)
    with page.expect_download() as download:
        page.get_by_role("link", name="Model card").click()
    assert download.value.suggested_filename == "README.md"


def judge_by_keyboard(page) -> None:
    page.goto("/feedback/consistency/")
    look(page, "consistency-before")
    page.get_by_role("link", name="Begin").click()
    look(page, "consistency-pair")
    for number, key in ((1, "1"), (2, "2"), (3, "0")):
        expect(page.get_by_text(f"{number} of 10")).to_be_visible()
        # The longer answer was rated better: it stands first or second.
        page.keyboard.press(key)
    expect(page.get_by_text("4 of 10")).to_be_visible()
    assert Feedback.objects.filter(kind="repeat").count() == 3
    page.get_by_role("link", name="Stop here").click()
    expect(page.get_by_role("heading", name="blind repeats")).to_be_visible()
    look(page, "consistency-after")


def answer_gaps(page) -> None:
    page.goto("/feedback/said-and-shown/")
    look(page, "gaps")
    page.get_by_role("button", name=re.compile("Noise.*Brief answers")).click()
    expect(page.get_by_role("heading", name="What you said to gaps")).to_be_visible()
    assert GapResolution.objects.get().decision == "noise"
    page.locator("details summary").first.click()
    page.get_by_label("What does it depend on?").first.fill("Only when I cook.")
    page.get_by_role("button", name="Keep with this note").first.click()
    expect(page.get_by_text("Only when I cook.")).to_be_visible()
    look(page, "gaps-answered")


@pytest.mark.timeout(420)
def test_the_evidence_pages(page):
    person = sign_in(page, "evidence")
    empty = ("/feedback/consistency/", "consistency-empty"), ("/feedback/said-and-shown/", "gaps-empty")
    for url, name in empty:
        page.goto(url)
        look(page, name)
    rate_conversations(person, 14)
    page.goto("/alignment/values/")
    expect(page.get_by_label("Strength, Brief answers")).to_be_visible()
    page.locator("details summary").first.click()
    look(page, "values-at-work")
    look_at_cards(page, person)
    judge_by_keyboard(page)
    answer_gaps(page)
    page.goto("/alignment/")
    look(page, "alignment-consistency")
    assert page.problems == []
