"""People in front of the browser: who they are, and how they sign in."""

from __future__ import annotations

import time

from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from playwright.sync_api import Page, expect

from alignapp.accounts.models import Person
from alignapp.panel import roles

PASSWORD = "a long pass phrase"


def new_person(name: str) -> Person:
    """Return a new account."""
    return Person.objects.create_user(f"{name}@example.org", PASSWORD)


def new_member(name: str, role: str) -> tuple[Person, str]:
    """Return a new account with a role in the panel and a second factor, and the secret of it."""
    person, secret = new_person(name), generate_totp_secret()
    TOTP.activate(person, secret)
    roles.grant(person, role, "for the test")
    return person, secret


def enter(page: Page, person: Person) -> None:
    """Fill the sign-in page that is shown, and send it."""
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def sign_in(page: Page, name: str) -> Person:
    """Make an account, sign in, and return who it is."""
    person = new_person(name)
    page.goto("/accounts/login/")
    enter(page, person)
    expect(page.get_by_role("heading", name="What comes next")).to_be_visible()
    return person


def enter_panel(page: Page, person: Person, secret: str) -> None:
    """Sign in to the panel, with a code of the second factor."""
    page.goto("/operate/")
    enter(page, person)
    page.get_by_label("Code").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def enter_password_first(page: Page) -> None:
    """Give the password again, for which the page asks."""
    page.get_by_role("link", name="Enter your password first").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Go on").click()


def reveal_conversations(page: Page, reason: str) -> None:
    """Have a person's page show their conversations."""
    page.get_by_label("What", exact=True).select_option("conversations")
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Reveal").click()
