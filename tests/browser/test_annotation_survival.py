"""What is typed on the annotating page survives: undo, an ended session, a closed lid, a restarted server.

And an item whose time is over goes on without the person.
"""

from __future__ import annotations

import re
import time

from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from alignapp.accounts.models import Person
from alignapp.annotation.models import Annotation, Assignment, Membership
from alignapp.annotation.services import projects
from alignapp.annotation.services.items import add_items
from tests.browser.people import enter, sign_in
from tests.web.annotated import new_item

ASKED = [{"name": "pick-1-of-n", "required": True}, {"name": "free-comment", "required": False}]


def begin(page, person: Person, **fields) -> None:
    """Open the first item of a new project."""
    project = projects.create_project(person, name="Kept", protocols=ASKED, **fields)
    projects.agree(Membership.objects.get(project=project), may_train=False)
    add_items(project, [new_item(f"item {n}") for n in range(8)])
    page.goto(f"/annotate/{project.id}/")
    page.get_by_role("button", name="Next item").click()
    page.locator("html[data-js=yes] #work").wait_for()  # keys count from when the script runs


def comment(page):
    return page.locator("[name=free-comment]")


def ten_changes_are_undone(page) -> None:
    for key in "1212121212120":
        page.keyboard.press(key)
    expect(page.locator("[data-pick='0']")).to_be_checked()
    for _ in range(10):
        page.keyboard.press("u")
    expect(page.locator("[data-pick='1']")).to_be_checked()  # 13 changes less 10: the third


def time_counts_only_while_the_page_is_visible(page) -> None:
    def counted(key: str) -> int:
        page.keyboard.press(key)
        return int(page.locator("[name=active_ms]").input_value())

    def turn(hidden: str) -> None:
        page.evaluate(f"Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }})")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    before = counted("1")
    turn("true")
    hidden_from = counted("2")
    page.wait_for_timeout(400)
    assert counted("1") == hidden_from >= before
    turn("false")
    page.wait_for_timeout(400)
    assert counted("2") >= hidden_from + 400


def an_ended_session_loses_nothing(page, person: Person) -> None:
    comment(page).fill("Written before the session ended.")
    Session.objects.all().delete()
    here = page.url
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    expect(comment(page)).to_have_value("Written before the session ended.")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").last.click()
    tab = opened.value
    enter(tab, person)
    tab.wait_for_url(here)  # back at the same item
    tab.close()
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: url != here)
    act = Annotation.objects.get(protocol="free-comment")
    assert act.text == "Written before the session ended."


def a_reload_after_the_session_leads_back_with_what_was_typed(page, person: Person) -> None:
    comment(page).fill("Typed, then the page was loaded anew.")
    Session.objects.all().delete()
    here = page.url
    page.reload()
    enter(page, person)
    page.wait_for_url(here)
    expect(comment(page)).to_have_value("Typed, then the page was loaded anew.")


def a_closed_lid_without_a_network_loses_nothing(page):
    context, here = page.context, page.url
    context.set_offline(True)
    comment(page).fill("In a train, without a network.")
    page.close()
    context.set_offline(False)
    page = context.new_page()
    page.goto(here)
    expect(comment(page)).to_have_value("In a train, without a network.")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert Assignment.objects.get(pk=re.search("work/([^/]+)", here)[1]).draft["free-comment"]
    return page


def a_restarted_server_loses_nothing(page, process) -> None:
    process.terminate()
    process.wait(time.monotonic() + 10)
    comment(page).fill("While the server was away.")
    page.locator("[data-pick='1']").check()
    here = page.url
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("The server cannot be reached.")).to_be_visible()
    process.start()
    while not process.is_ready:
        time.sleep(0.05)
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: url != here)
    assert Annotation.objects.filter(text="While the server was away.").exists()


def an_item_whose_time_is_over_goes_on_by_itself(page, person: Person) -> None:
    begin(page, person, time_limit_seconds=2)
    here = page.url
    comment(page).fill("Too long to finish")
    page.wait_for_url(lambda url: url != here)
    expect(page.locator("[data-told]")).to_contain_text("somebody else gets it")
    (aside,) = Assignment.objects.filter(state="discarded")
    assert aside.draft["free-comment"] == ["Too long to finish"]
    here = page.url
    page.keyboard.press("1")
    page.wait_for_url(lambda url: url != here)
    expect(page.locator("[data-told]")).to_contain_text("submitted as it stood")
    assert aside.item.project.items.filter(assignments__state="submitted").count() == 1


def test_what_was_typed_survives_everything(page, web):
    person = sign_in(page, "keeper")
    begin(page, person)
    ten_changes_are_undone(page)
    time_counts_only_while_the_page_is_visible(page)
    an_ended_session_loses_nothing(page, person)
    a_reload_after_the_session_leads_back_with_what_was_typed(page, person)
    page = a_closed_lid_without_a_network_loses_nothing(page)
    a_restarted_server_loses_nothing(page, web[1])
    an_item_whose_time_is_over_goes_on_by_itself(page, person)
