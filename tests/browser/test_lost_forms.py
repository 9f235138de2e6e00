"""What was typed outlives an ended session and a second press, in a real browser and without a worker."""

from __future__ import annotations

import re
import time

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from alignapp.accounts.models import Person
from alignapp.chat.models import Conversation, Turn
from alignapp.feedback.services import record_feedback
from tests.browser.people import (
    PASSWORD,
    enter,
    enter_panel,
    enter_password_first,
    new_member,
    new_person,
    sign_in,
)
from tests.web.rows import answered_turn, conversation_of


def first_message(page, person: Person) -> None:
    """Lose the session before a first message, sign in, and send what was typed with two presses."""
    page.goto("/chat/")
    page.get_by_label("Your message").fill("Typed before")
    Session.objects.all().delete()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("You were signed out, so what you sent was not stored.")).to_be_visible()
    enter(page, person)
    page.wait_for_url("**/chat/")
    expect(page.get_by_label("Your message")).to_have_value("Typed before")
    page.evaluate(
        "const form = document.getElementById('composer'); form.requestSubmit(); form.requestSubmit()"
    )
    page.wait_for_url("**/chat/*-*/")
    assert Conversation.objects.get().title == "Typed before"
    page.goto("/chat/")
    expect(page.get_by_label("Your message")).to_have_value("")


def next_message(page, person: Person) -> None:
    """Lose the session in a conversation, sign in in another tab, and send from the old page."""
    turn, _ = answered_turn(conversation_of(person), "An answer")
    page.goto(f"/chat/{turn.conversation_id}/")
    page.get_by_label("Your message").fill("And now?")
    Session.objects.all().delete()
    page.keyboard.press("Enter")
    expect(page.get_by_text("You were signed out; what you typed is kept.")).to_be_visible()
    expect(page.get_by_label("Your message")).to_have_value("And now?")
    other = page.context.new_page()
    other.goto("/accounts/login/")
    enter(other, person)
    expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    other.close()
    page.get_by_label("Your message").press("Enter")
    expect(page.locator(".bubble", has_text="And now?")).to_be_visible()
    expect(page.get_by_label("Your message")).to_have_value("")
    assert Turn.objects.filter(text="And now?").count() == 1


def remove_feedback(page, person: Person) -> None:
    """Lose the session on a page without anything typed: its part is not replaced by the sign-in page."""
    turn, (reply,) = answered_turn(conversation_of(person), "Another answer")
    record_feedback(person, turn, "rating", reply=reply, score=50)
    page.goto("/feedback/")
    Session.objects.all().delete()
    page.get_by_role("button", name=re.compile("Remove")).first.click()
    page.wait_for_url("**/accounts/login/?next=/feedback/")
    expect(page.get_by_role("heading", name="Sign in")).to_have_count(1)


def survey(page, person: Person) -> None:
    """Lose the session before a long form is sent: it stands there again after signing in, and is saved."""
    page.goto("/profile/survey/")
    words = page.get_by_label("How should the assistant behave?")
    words.fill("Brief, please.")
    page.locator("[name='use_cases']").first.check()
    Session.objects.all().delete()
    page.get_by_role("button", name="Save the profile").click()
    enter(page, person)
    expect(page.get_by_text("You were signed out when you sent this.")).to_be_visible()
    expect(words).to_have_value("Brief, please.")
    expect(page.locator("[name='use_cases']").first).to_be_checked()
    page.get_by_role("button", name="Save the profile").click()
    page.wait_for_url("**/profile/")
    page.goto("/profile/survey/")
    expect(page.get_by_text("You were signed out when you sent this.")).to_have_count(0)


def test_what_was_typed_outlives_an_ended_session(page):
    person = sign_in(page, "typist")
    first_message(page, person)
    next_message(page, person)
    remove_feedback(page, person)
    enter(page, person)
    survey(page, person)
    # htmx notes what we made of the sign-in page; nothing else was wrong.
    assert [words for words in page.problems if "Response Status Error Code 200" not in words] == []


def an_hour_passes() -> None:
    """Let every session have shown its password and code an hour ago."""
    for key in Session.objects.values_list("session_key", flat=True):
        session = SessionStore(key)
        shown = session.get(AUTHENTICATION_METHODS_SESSION_KEY, [])
        session[AUTHENTICATION_METHODS_SESSION_KEY] = [{**one, "at": time.time() - 3600} for one in shown]
        session.save()


def test_what_an_operator_typed_outlives_the_question_for_the_password(page, transactional_db):
    owner = new_person("owner")
    operator, secret = new_member("op", "operator")
    enter_panel(page, operator, secret)
    page.get_by_role("heading", name="Overview").wait_for()
    page.goto(f"/operate/people/{owner.pk}/")
    enter_password_first(page)
    page.get_by_label("What", exact=True).select_option("profile")
    page.get_by_label("Reason").fill("They asked what we know")
    an_hour_passes()
    page.get_by_role("button", name="Reveal").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Go on").click()
    expect(page.get_by_text("You were asked who you are before this was done.")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value("They asked what we know")
    expect(page.get_by_label("What", exact=True)).to_have_value("profile")
    page.get_by_role("button", name="Reveal").click()
    expect(page.get_by_role("heading", name=re.compile("What they say"))).to_be_visible()
    page.goto(f"/operate/people/{owner.pk}/")
    expect(page.get_by_label("Reason")).to_have_value("")
    assert page.problems == []
