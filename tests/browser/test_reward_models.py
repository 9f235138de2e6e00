"""A project's reward models in a real browser: their figures, and answers pasted for them to judge."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from alignapp.accounts.models import Person
from alignapp.annotation.access import Role
from alignapp.studies import services, trying
from alignapp.studies.models import RewardModel
from alignapp.studies.trying import Found
from tests import judged
from tests.browser.looking import look
from tests.browser.people import enter, sign_in
from tests.web import studied
from tests.web.test_rewards import rewarded

COIN = {"tastes": {"ann": [0.0, 0.0], "bert": [0.0, 0.0]}, "noise": 1.0}


def learned(owner: Person) -> RewardModel:
    """Return what a study of the owner's project learned, with planted figures."""
    project = studied.project_of(owner)
    for name in ("anna", "bert"):
        studied.annotator(project, name)
    return rewarded(services.start(project.memberships.get(role=Role.OWNER), ""))


def paste_by_keyboard(page) -> None:
    """Paste a prompt and three answers without a mouse, the third into a field that unfolds."""
    page.get_by_label("Prompt").focus()
    page.keyboard.type("How long does an egg take?")
    for text in ("Seven minutes, or ten if you like it hard.", "Dunno."):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("It depends on its size: " + "a_long_word_without_a_break" * 6)


def answers_are_judged(page) -> None:
    """Send what was pasted; what a worker says appears by itself, and what is typed meanwhile stays."""
    paste_by_keyboard(page)
    page.get_by_role("button", name="Judge").click()
    expect(page.get_by_text("It waits for a generation worker.")).to_be_visible()
    (tried_id,) = parse_qs(urlsplit(page.url).query)["tried"]
    page.get_by_role("textbox", name="Answer 2").fill("Ask a cook.")
    look(page, "reward-waiting")
    trying.tell_read(tried_id)
    expect(page.get_by_text("1 of 3 answers are read.")).to_be_visible()
    trying.tell(tried_id, Found(log_odds=[0.2, -0.9, 0.7]))
    expect(page.get_by_text("Answer 3 is the likeliest to be preferred.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Answer 2")).to_have_value("Ask a cook.")
    look(page, "reward-judged")


def an_ended_session_loses_nothing(page, owner: Person) -> None:
    """Send after the session ended, sign in, and find what was typed."""
    Session.objects.all().delete()
    page.get_by_role("button", name="Judge").click()
    enter(page, owner)
    expect(page.get_by_text("You were signed out when you sent this.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Answer 2")).to_have_value("Ask a cook.")


def a_coin_says_so(page, reward: RewardModel) -> None:
    """Show the same of reward models that know nothing."""
    reward.results = judged.results(**COIN)
    reward.save()
    page.get_by_role("button", name="Judge").click()
    expect(page.get_by_text("Not shown better than a coin")).to_be_visible()
    look(page, "reward-coin")


def test_a_manager_reads_the_figures_and_has_answers_judged(page):
    owner = sign_in(page, "manager")
    reward = learned(owner)
    page.goto(f"/annotate/{reward.study.project_id}/models")
    expect(page.get_by_role("heading", name="Reward models")).to_be_visible()
    page.get_by_text("Differences, plots of calibration, and person by person").click()
    look(page, "reward-models")
    page.get_by_role("link", name="Have it judge answers that you paste").click()
    answers_are_judged(page)
    an_ended_session_loses_nothing(page, owner)
    a_coin_says_so(page, reward)
    assert page.problems == []
