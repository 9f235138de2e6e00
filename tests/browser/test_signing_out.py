"""Whoever comes after somebody on the same machine sees nothing of theirs."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.people import sign_in
from tests.web.rows import answered_turn, conversation_of


def test_back_shows_nothing_after_signing_out(page):
    turn, _ = answered_turn(conversation_of(sign_in(page, "leaver")), "An answer", text="My secret question")
    page.goto(f"/chat/{turn.conversation_id}/")
    expect(page.get_by_text("My secret question").first).to_be_visible()
    page.goto("/account/")
    page.go_back()  # while signed in, Back shows the page as it is now
    expect(page.get_by_text("My secret question").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign up").first).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("My secret question")).to_have_count(0)
