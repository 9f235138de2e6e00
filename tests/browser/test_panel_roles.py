"""Auditor and support in a real browser: two factors, what each sees, and never a word without leave."""

from __future__ import annotations

import pytest

from alignapp.accounts.models import Person
from tests.browser.looking import look
from tests.browser.people import (
    enter,
    enter_panel,
    enter_password_first,
    new_member,
    new_person,
    reveal_conversations,
)
from tests.web import learned
from tests.web.rows import answered_turn, conversation_of

WORDS = "a secret of mine"


@pytest.fixture
def owner(transactional_db, settings, tmp_path) -> Person:
    """Somebody with words and a version of an adapter."""
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    person = new_person("owner")
    answered_turn(conversation_of(person), "an answer", text=WORDS)
    learned.artifact(person)
    return person


def test_an_auditor_reads_every_page_changes_nothing_and_sees_no_word(page, owner):
    auditor, secret = new_member("auditor", "auditor")
    enter_panel(page, auditor, secret)
    for name in (
        "Overview",
        "Jobs",
        "Adapters and vectors",
        "Campaigns",
        "Methods and limits",
        "People",
        "Audit",
    ):
        page.get_by_role("navigation", name="Panel").get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", level=1).wait_for()
        main = page.get_by_role("main")
        assert main.get_by_role("button", name="Change").count() == 0
        assert main.get_by_role("link", name="Plan a campaign").count() == 0
        assert WORDS not in main.inner_text()
        assert owner.email not in main.inner_text()
    page.goto(f"/operate/people/{owner.pk}/")
    assert page.get_by_text(owner.pseudonym).first.is_visible()
    assert page.get_by_role("heading", name="Look at their words").count() == 0
    look(page, "operate-person-auditor")
    assert page.problems == []  # what is refused altogether, the contracts ask for on every address


def test_a_supporter_looks_only_while_the_person_lets_them(page, browser, site, owner):
    supporter, secret = new_member("support", "support")
    enter_panel(page, supporter, secret)
    page.get_by_text("Nobody has given leave to look.").wait_for()
    look(page, "operate-support-none")
    panel = page.get_by_role("navigation", name="Panel")
    assert panel.get_by_role("link").all_inner_texts() == ["People"]
    assert page.goto(f"/operate/people/{owner.pk}/").status == 404

    theirs = browser.new_context(base_url=site, reduced_motion="reduce").new_page()
    theirs.goto("/account/looks")
    enter(theirs, owner)
    theirs.get_by_role("button", name="Give leave").click()
    theirs.get_by_text("Nobody has taken it up yet.").wait_for()

    page.goto("/operate/people/")
    page.get_by_role("button", name="Help this person").click()
    page.get_by_role("heading", name=owner.pseudonym).wait_for()
    assert WORDS not in page.get_by_role("main").inner_text()
    if page.get_by_role("link", name="Enter your password first").count():
        enter_password_first(page)
    look(page, "operate-person-support")
    reveal_conversations(page, "They asked why it answers so briefly")
    assert page.get_by_text(WORDS).is_visible()
    look(page, "operate-revealed-support")

    theirs.reload()
    assert theirs.get_by_text("They asked why it answers so briefly").is_visible()
    look(theirs, "looks")
    theirs.get_by_role("button", name="Take it back").click()
    theirs.get_by_text("Nobody may look any more.").wait_for()
    theirs.context.close()
    assert page.goto(f"/operate/people/{owner.pk}/").status == 404
