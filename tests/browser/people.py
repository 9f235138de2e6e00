"""People in front of the browser: who they are, and how they sign in."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from alignapp.accounts.models import Person

PASSWORD = "a long pass phrase"


def new_person(name: str) -> Person:
    """Return a new account."""
    return Person.objects.create_user(f"{name}@example.org", PASSWORD)


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
