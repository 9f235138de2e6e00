"""The console in a real browser: a manager makes a project, an annotator works by keyboard only."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from alignapp.accounts.models import Person
from alignapp.annotation.models import Annotation, Assignment, Membership, Project, Submission
from alignapp.annotation.services import projects
from alignapp.annotation.services.items import add_items
from tests.browser.looking import look
from tests.browser.people import sign_in
from tests.web.annotated import new_item

RATE = {"name": "slider-1-100", "required": True}
MARK = {"name": "marked-spans", "required": False}


class Hand:
    """Presses keys and counts them."""

    def __init__(self, page) -> None:
        self.page, self.pressed = page, 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1


def make_project(page) -> Project:
    page.get_by_role("link", name="Projects").click()
    look(page, "annotation-none")
    page.get_by_role("link", name="New project").first.click()
    page.get_by_label("Name").fill("Eggs")
    page.get_by_text("What people are told").click()
    page.get_by_label("Languages").fill("en")
    look(page, "annotation-settings")
    page.get_by_role("button", name="Make the project").click()
    page.get_by_role("link", name="Items", exact=True).click()
    for n in range(2):
        if n:
            page.get_by_text("Add an item").click()
        page.get_by_label("Prompt").fill(f"How long does egg number {n} take?")
        page.get_by_label("Answers", exact=True).fill(f"About {n + 5} minutes.\n---\nIt depends on its size.")
        page.get_by_role("button", name="Add", exact=True).click()
    look(page, "annotation-items")
    page.get_by_role("link", name="Guidelines").click()
    page.get_by_label("Guidelines (Markdown)").fill("# Be fair\n\nRead **both** answers.")
    page.get_by_role("button", name="Put into force").click()
    page.get_by_role("link", name="People").click()
    page.get_by_role("button", name="Make a link").click()
    look(page, "annotation-people")
    return Project.objects.get()


def pairwise_by_keyboard(page) -> int:
    hand = Hand(page)
    expect(page.get_by_text("egg number")).to_be_visible()
    look(page, "annotation-pairwise")
    guidelines, answers = (page.locator(part).bounding_box() for part in (".guidelines", "#answers"))
    assert guidelines["x"] >= answers["x"] + answers["width"]  # beside the task
    first = page.url
    page.wait_for_load_state("networkidle")
    began = time.monotonic()
    hand.press("1", "Control+Enter")
    page.wait_for_url(lambda url: url != first)
    assert time.monotonic() - began < 2.0  # on a busy machine; the next item was fetched before
    expect(page.get_by_text("egg number")).to_be_visible()
    expect(page.locator(".guidelines")).to_have_attribute("open", "")  # they stay as they were left
    return hand.pressed


def four_ratings_by_keyboard(page) -> int:
    hand = Hand(page)
    expect(page.get_by_text("About four")).to_be_visible()
    look(page, "annotation-four-ratings")
    first = page.url
    page.locator("[data-slider]").first.focus()
    for _ in range(3):  # without letting go: the browser repeats the key
        page.keyboard.down("ArrowRight")
    page.keyboard.up("ArrowRight")
    expect(page.locator("[data-slider]").first).to_have_value("53")
    page.wait_for_load_state("networkidle")
    hand.press("9", "4", "7", "1", "Control+Enter")
    page.wait_for_url(lambda url: url != first)
    return hand.pressed


def test_a_manager_makes_a_project_and_an_annotator_works_through_it(page):
    manager = sign_in(page, "manager")
    project = make_project(page)
    link = page.get_by_label(re.compile("Annotator, until")).input_value()
    page.get_by_role("link", name="Overview").click()
    look(page, "annotation-overview")
    page.get_by_role("button", name="Sign out").click()
    annotator = sign_in(page, "annotator")
    page.goto(link)
    page.get_by_role("button", name="Take part").click()
    look(page, "annotation-consent")
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("button", name="Next item").click()

    # Two keys for a pairwise item; the order was random, so what was picked is what stood first.
    assert pairwise_by_keyboard(page) == 2
    one = Assignment.objects.get(state="submitted")
    act = Annotation.objects.get()
    assert (str(act.candidate_id), act.input_kind) == (one.order[0], "keyboard")
    assert act.duration_ms > 0

    # A draft survives the page, `u` undoes, `0` is a tie; letters in a text field are letters.
    page.keyboard.press("2")
    page.keyboard.press("0")
    page.keyboard.press("u")
    expect(page.locator("[data-pick='2']")).to_be_checked()
    expect(page.locator("[data-saved]")).to_contain_text("Draft saved")
    page.reload()
    expect(page.locator("[data-pick='2']")).to_be_checked()
    page.keyboard.press("s")
    page.keyboard.type("no 1 or 2")
    expect(page.locator("#note")).to_have_value("no 1 or 2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Eggs")).to_be_visible()
    expect(page.get_by_text("no 1 or 2")).to_have_count(1)
    assert Assignment.objects.get(state="discarded").note == "no 1 or 2"

    # An edit after submitting is a second version.
    page.goto(f"/annotate/work/{one.id}/")
    page.keyboard.press("-")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: str(one.id) not in url)
    assert Submission.objects.filter(assignment=one).count() == 2

    # The keys are shown with `?`, can be changed, and can be off.
    page.goto(f"/annotate/work/{one.id}/")
    page.keyboard.press("?")
    look(page, "annotation-keys")
    page.get_by_role("button", name="Change the key of: Answer 1").click()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("[data-pick='1']")).to_be_checked()
    expect(page.locator("[data-key-of=answer1]")).to_have_text("j")

    four_answers(page, project, manager, annotator)
    # The browser notes the one answer that was sent incomplete.
    assert [problem for problem in page.problems if "400 (Bad Request)" not in problem] == []
    assert len(page.problems) == 1


def four_answers(page, project: Project, manager: Person, annotator: Person) -> None:
    """Four answers, rated on one page, with a place marked in one of them."""
    four = projects.create_project(manager, name="Four", protocols=[RATE, MARK])
    member = Membership.objects.create(project=four, person=annotator, role="annotator")
    projects.agree(member, may_train=False)
    add_items(four, [new_item(f"four {n}", 4) for n in range(3)])
    page.goto(f"/annotate/{four.id}/")
    page.get_by_role("button", name="Next item").click()
    assert four_ratings_by_keyboard(page) == 5
    scores = Annotation.objects.filter(protocol="slider-1-100").order_by("score")
    assert list(scores.values_list("score", flat=True)) == [10, 40, 70, 90]
    page.get_by_text("Critique of answer 1").click()
    page.get_by_label("Words to mark").first.fill("to four")
    page.get_by_role("button", name="Mark", exact=True).first.click()
    expect(page.get_by_text("to four", exact=True)).to_be_visible()
    look(page, "annotation-marked")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("answer 1, 2, 3, 4 has none yet")).to_be_visible()
    for number in range(4):
        page.locator("[data-slider]").nth(number).focus()
        page.keyboard.press("PageUp")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#work")).to_have_attribute("data-open", "yes")
    expect(page.locator("[data-touched]")).to_have_count(0)
    act = Annotation.objects.get(protocol="marked-spans")
    span = act.spans[0]
    assert act.candidate.text[span["start"] : span["end"]] == "to four"
    page.goto(f"/annotate/{four.id}/")
    look(page, "annotation-annotator")
