"""Where a vector starts, and what the model sees of judgements: in a real browser, by keyboard."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.feedback.services import record_feedback
from alignapp.instant import services
from alignapp.instant.models import InstantChoice, PersonalReward, ReplyStates
from alignapp.profiles.services import new_version
from personalization.steering.instant import MeanStates
from personalization.values import effects
from tests.browser.looking import look
from tests.browser.people import enter_panel, new_member, sign_in
from tests.web.rows import answered_turn, conversation_of

LAYERS, WIDTH = (10, 14, 18, 22), 576  # of the embedded model, whose value directions are shipped


def rate_with_states(person: Person, conversations: int) -> None:
    revision = effects.newest(effects.SHIPPED).name
    rng = np.random.default_rng(0)
    for number in range(conversations):
        turn, replies = answered_turn(
            conversation_of(person), "Boil it.", "Boil it well.", "No.", text=f"Egg {number}?"
        )
        means = rng.normal(size=(3, len(LAYERS), WIDTH)).astype(np.float32)
        means[:, :, 0] += np.array([30.0, 20.0, -30.0], dtype=np.float32)[:, None]
        for reply, own, score in zip(replies, means, (88, 80, 15), strict=True):
            ReplyStates.keep(reply, revision, MeanStates(LAYERS, own, tokens=3))
            record_feedback(person, turn, "rating", reply=reply, score=score)


@pytest.mark.timeout(420)
def test_where_it_starts_and_what_the_model_sees(page):
    person = sign_in(page, "starting")
    page.goto("/alignment/")
    look(page, "start-empty")
    give_consent(person)
    new_version(
        person, "values", values={"chosen": [{"key": "style.plain-words", "importance": 5}], "own": []}
    )
    rate_with_states(person, 7)
    page.goto("/alignment/")
    expect(page.get_by_text("Where it starts counts for 2 messages more.")).to_be_visible()
    expect(page.get_by_text("it takes 300 people who agree")).to_be_visible()
    look(page, "start")
    gives = page.get_by_label("Let my ratings count in the common taste")
    for is_ticked in (True, False):
        gives.focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Save where it starts").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Saved")).to_be_visible()
        assert InstantChoice.of(person).gives is is_ticked
    expect(page.get_by_text("in no common taste made from now on. Your receipt")).to_be_visible()
    look(page, "start-left")
    page.goto("/account/")
    left = page.get_by_role("row").filter(has_text="Ratings left out of the next common taste")
    expect(left.get_by_role("cell").last).to_have_text(re.compile(r"^\d+-[0-9a-f]{12}$"))
    look(page, "start-receipt")
    page.goto("/feedback/said-and-shown/")
    expect(page.get_by_role("heading", name="What the model sees of it")).to_be_visible()
    expect(page.get_by_text("also look different to the model")).to_be_visible()
    look(page, "seen")
    assert page.problems == []


@pytest.mark.timeout(240)
def test_an_operator_reads_where_new_people_start(page):
    member, secret = new_member("operator", "operator")
    enter_panel(page, member, secret)
    page.goto("/operate/methods/")
    expect(page.get_by_text("Of the 300 people whom a common taste takes, 0 agree")).to_be_visible()
    look(page, "panel-start")
    assert page.problems == []


def test_thinking_longer_can_be_ticked_on_a_phone_and_what_the_gate_lets_act_is_said(page):
    person = sign_in(page, "longer")
    give_consent(person)
    rate_with_states(person, 7)
    reward = PersonalReward.objects.get(person=person)
    assert reward.is_useful
    services.current(person).judge({"objection": ""}, 0.4)
    page.goto("/alignment/")
    expect(page.get_by_text("The safety check lets 40 % of it act")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/chat/")
    longer = page.get_by_label("Think longer")
    expect(longer).to_be_visible()
    longer.focus()
    page.keyboard.press("Space")
    expect(longer).to_be_checked()
    look(page, "longer")
