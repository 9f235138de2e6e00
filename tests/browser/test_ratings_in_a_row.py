"""Ratings given faster than the server answers are stored as given, in a real browser, without a worker."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from alignapp.feedback.models import Feedback
from tests.browser.people import sign_in
from tests.web.rows import answered_turn, conversation_of


@pytest.mark.parametrize("settles_after_ms", [20, 2000])  # htmx's own, and longer than a hand rests
def test_a_rating_survives_that_the_one_before_is_shown(page, settles_after_ms):
    turn, replies = answered_turn(conversation_of(sign_in(page, "quick")), "Short.", "A long one.")
    page.goto(f"/chat/{turn.conversation_id}/")
    page.evaluate(f"htmx.config.defaultSettleDelay = {settles_after_ms}")
    first, second = (page.locator(f"#score-{reply.id}") for reply in replies)
    held = []
    page.route("**/feedback/**", lambda route: held.append(route), times=1)
    first.press("PageUp")
    page.wait_for_timeout(900)  # the hand rests, and the rating is on its way
    second.press("PageUp")
    second.press("PageUp")
    assert len(held) == 1
    held[0].continue_()  # its answer replaces the turn, with both sliders
    expect(page.locator(".turn .badge", has_text="Base model")).to_be_visible()  # both are stored
    expect(second).to_have_value("70")
    page.wait_for_timeout(1000)
    assert dict(Feedback.objects.values_list("reply", "score")) == {replies[0].id: 60, replies[1].id: 70}
    assert page.problems == []
