"""The console by plain forms: a project is made, people join, annotate, leave; nothing typed is lost."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.erase import erase
from alignapp.annotation import protocols
from alignapp.annotation.models import Annotation, Assignment, Invitation, Item, Membership, Project
from alignapp.annotation.services import answers
from alignapp.annotation.services.items import add_items
from tests.web.annotated import claimed, member_of, new_item, pick, project_of

pytestmark = pytest.mark.django_db
ITEM = {"prompt": "How?", "answers": "[model: big]\nSo.\n---\nNot so.", "may_train": "on"}


def new_project(client, **fields):
    form = {
        "name": "Taste", "languages": "en, de", "overlap": "2", "double_share": "0", "candidates_shown": "0",
        "generated": "2", "temperature": "0.85",
        "strategy": "random", "blind": "on", "shuffled": "on", "repeat_share": "0", "gold_share": "0.1",
        "ask_pick-1-of-n": "required", "ask_free-comment": "optional",
    }  # fmt: skip
    return client.post(reverse("annotation:new"), {**form, **fields})


def test_from_a_new_project_to_a_submitted_answer_without_scripts(owner, other, client_of):
    manager, annotator = client_of(owner), client_of(other)
    assert new_project(manager).status_code == 302
    project = Project.objects.get()
    assert [one["name"] for one in project.protocols] == ["pick-1-of-n", "free-comment"]
    assert project.languages == ["en", "de"]
    manager.post(reverse("annotation:items", args=[project.id]), ITEM)
    item = Item.objects.get()
    assert [(c.maker, c.text) for c in item.candidates.all()] == [("big", "So."), ("", "Not so.")]
    assert item.wanted == 2
    manager.post(reverse("annotation:people", args=[project.id]), {"role": "annotator"})
    link = reverse("annotation:join", args=[Invitation.objects.get().token])
    assert b"Taste" in annotator.get(link).content
    assert annotator.post(link).headers["Location"] == reverse("annotation:consent", args=[project.id])
    annotator.post(reverse("annotation:consent", args=[project.id]), {"may_train": "on"})
    page = annotator.post(reverse("annotation:next", args=[project.id])).headers["Location"]
    assert b"Not so." in annotator.get(page).content
    nothing = annotator.post(page, {"free-comment": "Typed already."})
    assert nothing.status_code == 400
    assert b"Typed already." in nothing.content
    order = Assignment.objects.get().order
    done = annotator.post(page, {"pick-1-of-n": order[0], "free-comment": "Both short."})
    assert done.headers["Location"] == reverse("annotation:project", args=[project.id])
    assert Annotation.objects.current().count() == 2
    assert b"checked" in annotator.get(page).content
    assert b"Both short." in manager.get(reverse("annotation:item", args=[item.id])).content


def test_a_wrong_setting_says_so_and_keeps_what_was_typed(owner, client_of):
    answer = new_project(client_of(owner), **{"ask_pick-1-of-n": "", "ask_free-comment": "", "name": "Kept"})
    assert answer.status_code == 400
    assert b"at least one way to ask" in answer.content
    assert b"Kept" in answer.content
    assert not Project.objects.exists()


def test_a_new_project_shows_few_fields_and_the_rest_folded(owner, client_of):
    html = client_of(owner).get(reverse("annotation:new")).content.decode()
    groups = re.findall(r'<details class="card group" id="group-(\w+)" *(open)?', html)
    assert groups == [("told", ""), ("seen", ""), ("given", ""), ("written", "")]
    before, after = html.split("settings-form")[1].split("more-ways")
    shown = before + after.split("</fieldset>")[1].split("<details")[0]
    names = re.findall(r'name="(\w[\w-]*)"', shown)
    asked = ["ask_slider-1-100", "ask_thumb", "ask_pick-1-of-n", "ask_places-with-ties", "ask_free-comment"]
    assert names[1:] == ["name", "guidelines", *asked, "overlap", "invited"]
    for name in Project._meta.get_fields():
        if name.name in ("repeat_share", "blind", "temperature", "payment"):
            assert f'name="{name.name}"' in html


@pytest.mark.parametrize(
    ("field", "value", "group"),
    [("repeat_share", "7", "given"), ("temperature", "0.5", "written"), ("payment", "10 €", "told")],
)
def test_a_group_with_an_error_or_something_typed_stands_open(owner, client_of, field, value, group):
    html = new_project(client_of(owner), languages="", **{field: value, "name": ""}).content.decode()
    opened = re.findall(r'id="group-(\w+)" open', html)
    assert group in opened
    assert f'value="{value}"' in html


def test_lists_that_a_browser_sends_back_as_they_came_stay_folded(owner, client_of):
    types = "\r\n".join(str(one) for one in protocols.get("marked-spans").lists["types"][1])
    html = new_project(client_of(owner), name="", **{"ask_marked-spans_types": types}).content.decode()
    assert 'name="ask_marked-spans"' not in html.split("more-ways")[0]


def test_settings_that_are_not_as_they_come_stand_open(owner, client_of):
    project = project_of(owner, blind=False, protocols=[{"name": "marked-spans", "types": ["rude"]}])
    html = client_of(owner).get(reverse("annotation:settings", args=[project.id])).content.decode()
    assert re.findall(r'id="group-(\w+)" open', html) == ["seen"]
    asked = html.split("more-ways")[0]
    assert 'name="ask_marked-spans"' in asked  # what is asked stands before “More ways to ask”
    assert re.search(r"<details open>.*?ask_marked-spans_types.*?rude", asked, re.DOTALL)
    assert "guidelines" not in re.findall(r'name="(\w+)"', html)  # they have versions, on a page of their own


def test_guidelines_and_invitations_come_with_a_new_project(owner, client_of):
    client = client_of(owner)
    bad = new_project(client, invited="ann@example.org\nnobody")
    assert bad.status_code == 400
    assert "“nobody” is no e-mail address." in bad.content.decode()
    made = new_project(
        client, guidelines="# Be fair", invited="Ann@example.org, ann@example.org\nbob@example.org"
    )
    project = Project.objects.get()
    assert made.headers["Location"] == reverse("annotation:people", args=[project.id])
    assert project.guidelines.text == "# Be fair"
    assert sorted(project.invitations.values_list("email", "role")) == [
        ("ann@example.org", "annotator"), ("bob@example.org", "annotator"),
    ]  # fmt: skip


def test_people_read_how_it_was_asked_in_words(owner, client_of):
    project = project_of(owner)
    assignment = claimed(project.memberships.get())
    answers.submit(assignment, pick(assignment))
    html = client_of(owner).get(reverse("annotation:item", args=[assignment.item_id])).content.decode()
    assert "Pick the best" in html
    assert "pick-1-of-n" not in html


def test_a_queue_without_items_says_so(owner, client_of):
    project = project_of(owner)
    page = client_of(owner).get(reverse("annotation:project", args=[project.id]), {"state": "flagged"})
    assert b"Nothing stands in this queue." in page.content


def test_deleting_counts_one_as_one_and_keeps_a_mistyped_name(owner, client_of):
    project = project_of(owner)
    page = client_of(owner).post(reverse("annotation:delete", args=[project.id]), {"name": "Egs"})
    html = page.content.decode()
    assert page.status_code == 400
    assert "<li>1 item</li>" in html
    assert "0 answers that people submitted" in html
    assert 'value="Egs"' in html


def test_numbers_beyond_all_measure_are_refused_and_not_broken_by(owner, client_of):
    project = project_of(owner, protocols=[{"name": "slider-1-100", "required": True}])
    assignment = claimed(project.memberships.get())
    client, huge = client_of(owner), "9" * 5000
    fields = {"active_ms": huge, "draft_number": huge}
    for one in assignment.order:
        fields |= {f"slider-1-100.{one}": huge, f"touched.slider-1-100.{one}": "on"}
    drafted = client.post(reverse("annotation:draft", args=[assignment.id]), fields)
    sent = client.post(reverse("annotation:work", args=[assignment.id]), fields)
    assert (drafted.status_code, sent.status_code) == (302, 400)
    assert b"A rating lies between 1 and 100." in sent.content


def test_a_slip_of_the_hand_is_refused_and_a_name_turns_no_words_round(owner, client_of):
    slipped = new_project(client_of(owner), overlap="9000000000000000", name="Kept")
    assert slipped.status_code == 400
    assert b"less than or equal to 1000" in slipped.content
    assert new_project(client_of(owner), name="\u202e").status_code == 400
    assert new_project(client_of(owner), name="Taste \u202eRTL").status_code == 302
    assert Project.objects.get().name == "Taste RTL"


def test_an_invitation_works_once_not_too_late_and_for_its_address(owner, other, client_of):
    project = project_of(owner)
    make = project.invitations.create
    client = client_of(other)
    late = make(expires_at=timezone.now() - timedelta(days=1))
    others = make(email="somebody@example.org")
    for one in (late, others):
        client.post(reverse("annotation:join", args=[one.token]))
    assert not Membership.objects.filter(person=other).exists()
    good = make(email=other.email)
    client.post(reverse("annotation:join", args=[good.token]))
    assert Membership.objects.get(person=other).role == "annotator"
    assert client.get(reverse("annotation:join", args=[good.token])).status_code == 404


def test_makers_are_shown_only_where_the_project_says_so(owner, client_of):
    for blind in (True, False):
        project = project_of(owner, blind=blind)
        member = member_of(project, f"blind-{blind}")
        page = reverse("annotation:work", args=[claimed(member).id])
        assert (b"model-m0" in client_of(member.person).get(page).content) is not blind


def test_languages_are_asked_where_there_are_several_and_told_before(owner, client_of):
    project = project_of(owner, languages=["en", "de"])
    member = member_of(project, "a")
    client, consent = client_of(member.person), reverse("annotation:consent", args=[project.id])
    assert client.get(consent).content.count(b'name="languages"') == 2
    client.post(consent, {"languages": "de"})
    member.refresh_from_db()
    assert member.languages == ["de"]
    assert b"English, German" in client.get(reverse("annotation:project", args=[project.id])).content
    form = {**ITEM, "language": "de"}
    client_of(owner).post(reverse("annotation:items", args=[project.id]), form)
    assert Item.objects.get(language="de").prompt == "How?"


def test_what_was_said_before_a_change_is_shown_to_its_author_and_to_managers(owner, client_of):
    asked = [{"name": "pick-1-of-n"}, {"name": "slider-1-100"}, {"name": "scale-1-7"}, {"name": "thumb"}]
    member = member_of(project_of(owner, protocols=asked), "a")
    client, one = client_of(member.person), claimed(member)
    page, first = reverse("annotation:work", args=[one.id]), one.order[0]
    rated = {f"slider-1-100.{first}": "61", f"touched.slider-1-100.{first}": "on"}
    client.post(page, pick(one, 0) | rated | {f"scale-1-7.{first}": "6", f"thumb.{first}": "-1"})
    assert b"What you said before" not in client.get(page).content
    client.post(page, pick(one, 1))
    found = client.get(page).context["replaced"]
    assert {act.submission.number for act, *_ in found} == {1}
    said = ["answer 1", "answer 1: 6", "answer 1: bad", "answer 1: fair"]  # a slider shows no number
    assert sorted(words for *_, words in found) == said
    every = client_of(owner).get(reverse("annotation:item", args=[one.item_id])).context["annotations"]
    versions = [(act.submission.number, act.submission.superseded_at is None) for act, *_ in every]
    assert versions == [(1, False)] * 4 + [(2, True)]
    assert any(words.endswith(": 61") for *_, words in every)


def test_the_script_gets_the_item_alone_with_few_queries(owner, client_of, django_assert_max_num_queries):
    project = project_of(owner, count=3, gold_share=0.0)
    member = member_of(project, "a")
    client = client_of(member.person)
    scripted = {"headers": {"Accept": "application/json"}}
    with django_assert_max_num_queries(15):  # two of them only where the random id is the last
        page = client.post(reverse("annotation:next", args=[project.id]), **scripted).json()["next"]
    with django_assert_max_num_queries(10):
        found = client.get(page, headers={"HX-Request": "true"})
    assert b'id="work"' in found.content
    assert b"<html" not in found.content
    assert "HX-Request" in found.headers["Vary"]
    form = pick(Assignment.objects.get())
    with django_assert_max_num_queries(11):
        assert client.post(page, form, **scripted).status_code == 201


def test_a_page_of_items_says_by_itself_when_their_answers_are_written(owner, client_of):
    project = project_of(owner)
    add_items(project, [new_item("bare", 0)])
    manager, items = client_of(owner), reverse("annotation:items", args=[project.id])
    assert b"Models are writing the answers of 1 item" in manager.get(items).content
    Item.objects.update(is_ready=True)
    told = manager.get(items, headers={"HX-Request": "true"})
    assert b"The answers are written." in told.content
    assert b"every 5s" not in told.content


def test_scripts_get_json_and_drafts_of_an_old_number_are_refused(owner, client_of):
    member = member_of(project_of(owner), "a")
    client, one = client_of(member.person), claimed(member)
    draft = reverse("annotation:draft", args=[one.id])
    form = {"pick-1-of-n": one.order[0], "draft_number": "0", "active_ms": "1500"}
    assert client.post(draft, form, headers={"Accept": "application/json"}).json() == {"draft_number": 1}
    assert client.post(draft, form, headers={"Accept": "application/json"}).status_code == 409
    sent = client.post(reverse("annotation:work", args=[one.id]), {}, headers={"Accept": "application/json"})
    assert sent.status_code == 400
    assert "pick-1-of-n" in sent.json()["errors"]


def test_flagged_items_are_seen_by_managers_who_give_them_to_somebody_else(owner, client_of):
    project = project_of(owner)
    one, two = member_of(project, "one"), member_of(project, "two")
    held = claimed(one)
    client_of(one.person).post(reverse("annotation:flag", args=[held.id]), {"note": "It is empty."})
    manager = client_of(owner)
    assert b"It is empty." in manager.get(reverse("annotation:project", args=[project.id])).content
    manager.post(reverse("annotation:offer_again", args=[held.id]))
    assert claimed(two).item == held.item


def test_whoever_is_removed_sees_nothing_and_what_they_said_stays(owner, client_of):
    project = project_of(owner, count=2)
    member = member_of(project, "a")
    client = client_of(member.person)
    done = claimed(member)
    answers.submit(done, pick(done))
    claimed(member)
    client_of(owner).post(reverse("annotation:remove", args=[member.id]))
    assert client.get(reverse("annotation:work", args=[done.id])).status_code == 404
    assert client.get(reverse("annotation:project", args=[project.id])).status_code == 404
    assert Annotation.objects.count() == 1
    assert sorted(Item.objects.values_list("taken", flat=True)) == [0, 1]


def test_a_project_is_deleted_by_its_owner_who_types_its_name(owner, client_of):
    project = project_of(owner)
    url = reverse("annotation:delete", args=[project.id])
    client = client_of(owner)
    assert client.post(url, {"name": "Something"}).status_code == 400
    assert client.post(url, {"name": "Eggs"}).status_code == 302
    assert not Item.objects.exists()


def test_an_annotator_who_is_erased_leaves_their_place_to_others(owner):
    project = project_of(owner)
    one, two = member_of(project, "one"), member_of(project, "two")
    done = claimed(one)
    answers.submit(done, pick(done))
    erase(one.person)
    assert not Annotation.objects.exists()
    assert claimed(two).item == done.item


def test_a_project_outlives_its_owner_where_it_has_a_manager(owner):
    project = project_of(owner)
    alone = project_of(owner, name="Nobody else's")
    manager = member_of(project, "m", "manager")
    erase(owner)
    project.refresh_from_db()
    manager.refresh_from_db()
    assert (project.owner, manager.role) == (manager.person, "owner")
    assert not Project.objects.filter(pk=alone.pk).exists()
