"""The quality page on answers that real annotators gave through the console's own verbs."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.annotation.access import Role
from alignapp.annotation.models import (
    Annotation,
    Assignment,
    Candidate,
    Item,
    Membership,
    Project,
    Submission,
)
from alignapp.annotation.protocols import label
from alignapp.annotation.services import answers, items, projects
from alignapp.audit.models import AuditEvent
from alignapp.quality.differences import decide
from alignapp.quality.figures import figures_of
from alignapp.quality.judgements import judgements_of, sample_of
from alignapp.quality.models import Adjudication

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
PROTOCOLS = [{"name": "pick-1-of-n", "required": True}, {"name": "slider-1-100"}]


@pytest.fixture
def owner():
    return _person("owner")


@pytest.fixture
def project(owner):
    """Ten items of two makers, judged by two people; both judge five of them twice."""
    found = projects.create_project(owner, name="Tastes", protocols=PROTOCOLS, overlap=2)
    items.add_items(found, (_item(f"item {n}") for n in range(10)))
    for name in ("anna", "bert"):
        person = _person(name)
        Membership.objects.create(project=found, person=person, role=Role.ANNOTATOR)
        for n, item in enumerate(found.items.all()):
            first = _judge(item, person, likes="long" if name == "anna" else "short")
            if n % 2:
                _judge(item, person, likes="long" if name == "anna" else "short", repeat_of=first)
    return found


def _person(name) -> Person:
    return Person.objects.create(email=f"{name}@example.org")  # without a password: hashing one is slow


def _item(key, **fields):
    made = [items.NewCandidate("word " * 40, maker="long"), items.NewCandidate("word", maker="short")]
    return items.NewItem(key, [{"role": "user", "content": f"Say {key}"}], made, **fields)


def _judge(item, person, likes, repeat_of=None, rating=(80, 20), active_ms=20_000) -> Assignment:
    candidates = list(item.candidates.all())
    random.Random(f"{item.key} {person.email}").shuffle(candidates)
    assignment = Assignment.objects.create(
        item=item,
        annotator=person,
        order=[str(one.id) for one in candidates],
        repeat_of=repeat_of,
        strategy="fill",
        lease_until="2100-01-01T00:00Z",
    )
    chosen = next(one for one in candidates if one.maker == likes)
    values = {"pick-1-of-n": [str(chosen.id)]}
    for one in candidates:
        field = f"slider-1-100.{one.id}"
        values |= {field: [str(rating[0] if one == chosen else rating[1])], f"touched.{field}": ["on"]}
    answers.submit(assignment, values, active_ms=active_ms)
    return assignment


def _by_key(project) -> dict:
    return {figure["key"]: figure for figure in figures_of(project)}


def _values(figure) -> dict:
    return {row["label"]: row["value"] for row in figure["rows"]}


def test_the_page_calls_protocols_as_people_do_and_the_exports_by_their_names(project, owner, client_of):
    client = client_of(owner)
    html = client.get(reverse("quality:quality", args=[project.id])).content.decode()
    assert "Pick the best (nominal)" in html
    assert "“Pick the best” and “Rating” disagree in" in html
    for name in ("pick-1-of-n", "slider-1-100"):
        assert name not in html
        table = client.get(reverse("quality:export", args=[project.id, "all", "csv"]))
        assert name in b"".join(table).decode()
    assert label("their-own") == "Their own"
    assert label("attributes-1-100", "fluency") == "Attributes (fluency)"


def test_figures_of_very_many_items_rest_on_a_sample_and_say_so(project, owner, client_of, monkeypatch):
    Item.objects.update(taken=2, wanted=2)  # as a claim counts them
    page = reverse("quality:quality", args=[project.id])
    assert "random sample" not in client_of(owner).get(page).content.decode()
    cache.clear()
    monkeypatch.setattr("alignapp.quality.judgements.MOST_ITEMS", 4)
    within = sample_of(project)
    assert within.count() == 4
    said = judgements_of(project, within=within)
    assert {one.item for one in said} == {str(pk) for pk in within.values_list("pk", flat=True)}
    assert _values(_by_key(project)["progress"])["pick-1-of-n"] < 30
    assert "random sample" in client_of(owner).get(page).content.decode()
    there = reverse("quality:differences", args=[project.id])
    assert "random sample" in client_of(owner).get(there).content.decode()
    assert len(judgements_of(project)) > len(said)  # the exports have all


def test_the_figures_say_what_the_annotators_did(project):
    anna, bert = (str(Person.objects.get(email=f"{name}@example.org")) for name in ("anna", "bert"))
    found = _by_key(project)
    assert _values(found["consistency"]) == {anna: 1.0, bert: 1.0}
    assert _values(found["taste"]) == {"with oneself": 1.0, "with others": 0.0, "difference": 1.0}
    assert "settle nothing by majority" in found["taste"]["words"]
    assert _values(found["alpha"])["pick-1-of-n (nominal)"] < 0
    length = _values(found["length"])
    assert (length[anna], length[bert]) == (1.0, 0.0)
    assert _values(found["contradictions"])["pick-1-of-n and slider-1-100: everybody"] == 0.0
    assert _values(found["strengths"]) == {"long": 0.5, "short": 0.5}
    assert _values(found["time"]) == {anna: 20.0, bert: 20.0}
    assert _values(found["progress"]) == {"pick-1-of-n": 30, "slider-1-100": 30, anna: 30, bert: 30}


def test_an_edit_replaces_what_was_said_and_a_rating_against_the_pick_is_a_contradiction(project):
    before = _by_key(project)["contradictions"]["rows"][0]["value"]
    assignment = Assignment.objects.filter(repeat_of=None, repeat=None).first()
    values = dict(assignment.draft)
    sliders = [name for name in values if name.startswith("slider")]
    values[sliders[0]], values[sliders[1]] = values[sliders[1]], values[sliders[0]]
    answers.submit(assignment, values)
    after = _by_key(project)["contradictions"]["rows"][0]
    assert (before, after["value"], after["n"]) == (0.0, pytest.approx(1 / 20), 20)


def test_gold_is_counted_apart_and_what_was_put_aside_is_a_skip(project):
    anna = Person.objects.get(email="anna@example.org")
    expected = {"pick-1-of-n": {"best": [1]}}
    items.add_items(project, [_item("gold", purpose=Item.Purpose.GOLD, expected=expected), _item("left")])
    gold, left = (project.items.get(key=key) for key in ("gold", "left"))
    _judge(gold, anna, likes="long")
    Assignment.objects.create(
        item=left, annotator=anna, order=[], strategy="fill", lease_until="2100-01-01T00:00Z",
        state=Assignment.State.DISCARDED,
    )  # fmt: skip
    found = _by_key(project)
    assert _values(found["gold"]) == {str(anna): 0.0}
    assert _values(found["skips"])[str(anna)] == pytest.approx(1 / 12)
    assert _values(found["length"])[str(anna)] == 1.0
    assert found["length"]["rows"][0]["n"] == 20  # the gold item does not count as taste


@pytest.mark.parametrize(
    ("said", "outcomes"),
    [("tie", {0}), ("none", {0}), (0, {1}), (2, {-1, 1})],
)
def test_a_pick_out_of_three_compares_it_with_the_others_only(owner, said, outcomes):
    from personalization.agreement.judgements import comparisons

    three = projects.create_project(owner, name="Three", protocols=PROTOCOLS[:1])
    made = [items.NewCandidate(text) for text in ("a", "b", "c")]
    items.add_items(three, [items.NewItem("x", [{"role": "user", "content": "?"}], made)])
    item = three.items.get()
    ids = [str(one.id) for one in item.candidates.all()]
    row = {"item": item, "annotator": owner, "order": ids, "strategy": "fill"}
    assignment = Assignment.objects.create(lease_until="2100-01-01T00:00Z", **row)
    answers.submit(assignment, {"pick-1-of-n": [said if isinstance(said, str) else ids[said]]})
    (judgement,) = judgements_of(three)
    found = list(comparisons([judgement]))
    if isinstance(said, str):
        assert [one.preferred for one in found] == [0, 0, 0]
    else:
        assert len(found) == 2
        assert all(ids[said] in (one.first, one.second) and one.preferred for one in found)
    assert {one.preferred for one in found} <= outcomes | {-1, 1} - ({0} if outcomes == {0} else set())


def test_a_best_and_worst_choice_compares_nothing_in_between(owner):
    from personalization.agreement.judgements import comparisons

    four = projects.create_project(owner, name="Four", protocols=[{"name": "best-worst"}])
    items.add_items(four, [items.NewItem("x", [], [items.NewCandidate(text) for text in "abcd"])])
    ids = [str(one.id) for one in Candidate.objects.all()]
    row = {"item": four.items.get(), "annotator": owner, "order": ids, "strategy": "fill"}
    assignment = Assignment.objects.create(lease_until="2100-01-01T00:00Z", **row)
    answers.submit(assignment, {"best-worst.best": [ids[0]], "best-worst.worst": [ids[3]]})
    (judgement,) = judgements_of(four)
    found = {frozenset((one.first, one.second)) for one in comparisons([judgement])}
    assert len(found) == 5
    assert frozenset(ids[1:3]) not in found


def test_only_those_who_manage_see_the_page(project, owner, client):
    manager = _person("manager")
    Membership.objects.create(project=project, person=manager, role=Role.MANAGER)
    urls = [
        reverse("quality:quality", args=[project.id]),
        *(reverse("quality:export", args=[project.id, "all", kind]) for kind in ("csv", "json")),
        *(reverse("quality:export", args=[project.id, "judgements", kind]) for kind in ("csv", "json")),
    ]
    for person, status in (
        (owner, 200),
        (manager, 200),
        (Person.objects.get(email="anna@example.org"), 404),
        (_person("outsider"), 404),
    ):
        client.force_login(person, backend=BACKEND)
        assert [client.get(url).status_code for url in urls] == [status] * 5, person


def test_the_page_says_each_figure_in_a_sentence_and_htmx_gets_the_figures_alone(project, owner, client):
    client.force_login(owner, backend=BACKEND)
    url = reverse("quality:quality", args=[project.id])
    page = client.get(url).content.decode()
    assert "settle nothing by majority" in page
    assert 'class="bar-chart"' in page
    part = client.get(url, headers={"HX-Request": "true"})
    assert part.content.decode().strip().startswith('<div class="stack" id="figures"')
    assert "<html" not in part.content.decode()
    assert "HX-Request" in part["Vary"]


def test_nothing_is_computed_again_before_something_new_is_said(project, django_assert_num_queries):
    figures_of(project)
    with django_assert_num_queries(2):
        figures_of(project)


def test_an_empty_project_says_what_is_missing(owner, client):
    empty = projects.create_project(owner, name="Empty")
    client.force_login(owner, backend=BACKEND)
    page = client.get(reverse("quality:quality", args=[empty.id])).content.decode()
    assert "Nothing has been judged yet" in page
    assert "bar-chart" not in page
    assert page.count("<article") == 0  # one list for each part, not a card for each figure
    assert page.count("Nothing to show yet") == 4


def test_every_table_is_exported_as_csv_and_json(project, owner, client):
    client.force_login(owner, backend=BACKEND)

    def body(table, kind):
        response = client.get(reverse("quality:export", args=[project.id, table, kind]))
        assert response["Content-Disposition"] == f'attachment; filename="{table}.{kind}"'
        return response.getvalue().decode()

    rows = list(csv.DictReader(io.StringIO(body("alpha", "csv"))))
    assert {row["figure"] for row in rows} == {"alpha"}
    alpha = {row["label"]: float(row["value"]) for row in rows}
    (figure,) = json.loads(body("alpha", "json"))
    assert alpha == {row["label"]: row["value"] for row in figure["rows"]}
    assert len(json.loads(body("all", "json"))) == 20
    said = list(csv.DictReader(io.StringIO(body("judgements", "csv"))))
    assert len(said) == 2 * 2 * 30
    ratings = [float(row["on_own_scale"]) for row in said if row["protocol"] == "slider-1-100"]
    assert set(ratings) == {1.0, -1.0}
    assert json.loads(body("judgements", "json"))[0].keys() == said[0].keys()
    missing = reverse("quality:export", args=[project.id, "passwords", "csv"])
    assert client.get(missing).status_code == 404


def test_an_annotator_sees_their_own_consistency_when_the_project_is_closed_and_nobody_elses(project, client):
    anna, bert = (Person.objects.get(email=f"{name}@example.org") for name in ("anna", "bert"))
    url = reverse("quality:mine", args=[project.id])
    client.force_login(anna, backend=BACKEND)
    assert "still open" in client.get(url).content.decode()
    Project.objects.filter(pk=project.pk).update(is_open=False)
    page = client.get(url).content.decode()
    assert "You said the same again in 100 %" in page
    assert "of 10 comparisons" in page  # a pick and a pair of sliders of each of five repeats
    assert str(bert) not in page
    client.force_login(_person("outsider"), backend=BACKEND)
    assert client.get(url).status_code == 404


def test_a_cell_that_a_spreadsheet_would_run_is_made_text(owner, client):
    bad = projects.create_project(owner, name="Bad", protocols=PROTOCOLS)
    made = [items.NewCandidate("a b", maker="=cmd()"), items.NewCandidate("c", maker="short")]
    items.add_items(bad, [items.NewItem("x", [], made)])
    _judge(bad.items.get(), owner, likes="short")
    client.force_login(owner, backend=BACKEND)
    response = client.get(reverse("quality:export", args=[bad.id, "judgements", "csv"]))
    makers = {row["maker"] for row in csv.DictReader(io.StringIO(response.getvalue().decode()))}
    assert makers == {"'=cmd()", "short"}


def test_a_decision_is_recorded_beside_the_answers_and_changes_no_figure(project, owner, client):
    before = figures_of(project)
    client.force_login(owner, backend=BACKEND)
    page = client.get(reverse("quality:differences", args=[project.id])).content.decode()
    assert page.count("100 % disagreement among 2 people") == 10  # anna and bert always differ
    item = project.items.first()
    url = reverse("quality:decide", args=[item.id])
    best = item.candidates.get(maker="long")
    for chosen, reason in ((str(best.id), "It is longer."), ("alike", "On second thought.")):
        assert client.post(url, {"best": chosen, "reason": reason}).status_code == 302
    old, new = Adjudication.objects.filter(item=item)
    assert (old.best, new.best) == (str(best.id), "")
    assert old.superseded_at is not None
    assert new.decided_by == owner
    assert "It is longer." in client.get(url).content.decode()
    assert [event.verb for event in AuditEvent.objects.filter(verb="item.adjudicated")] == [
        "item.adjudicated"
    ] * 2
    cache.clear()
    assert figures_of(project) == before
    sent = client.get(reverse("quality:export", args=[project.id, "decisions", "json"])).json()
    assert [(one["decision"], one["reason"], one["in_force"]) for one in sent] == [
        (f"{best.position + 1} > {2 - best.position}", "It is longer.", False),
        ("1 = 2", "On second thought.", True),
    ]
    table = client.get(reverse("quality:export", args=[project.id, "decisions", "csv"])).content.decode()
    assert len(table.splitlines()) == 3


def test_a_decision_needs_a_reason_and_an_answer_of_this_item_and_loses_nothing_typed(project, owner, client):
    client.force_login(owner, backend=BACKEND)
    first, second = project.items.all()[:2]
    foreign = str(second.candidates.first().id)
    url = reverse("quality:decide", args=[first.id])
    answer = client.post(url, {"best": foreign, "reason": "Because of this."})
    assert answer.status_code == 400
    assert "Because of this." in answer.content.decode()
    assert client.post(url, {"best": "alike", "reason": " "}).status_code == 400
    assert not Adjudication.objects.exists()


def test_annotators_and_outsiders_neither_see_nor_make_decisions(project, client):
    item = project.items.first()
    for person in (Person.objects.get(email="anna@example.org"), _person("outsider")):
        client.force_login(person, backend=BACKEND)
        assert client.get(reverse("quality:differences", args=[project.id])).status_code == 404
        url = reverse("quality:decide", args=[item.id])
        assert client.get(url).status_code == 404
        assert client.post(url, {"best": "alike", "reason": "Mine."}).status_code == 404
    assert not Adjudication.objects.exists()


def test_a_decision_is_never_changed_and_one_is_in_force(project, owner):
    item = project.items.first()
    decision = decide(item, owner, "", "They are.")
    decision.reason = "They are not."
    with pytest.raises(TypeError, match="decide again"):
        decision.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        Adjudication.objects.create(item=item, decided_by=owner, ranking=[["x"]], reason="Too.")
    with pytest.raises(ValueError, match="not an answer of this item"):
        decide(item, owner, "nobody", "It is.")


def test_imported_answers_without_an_order_and_of_an_unknown_protocol_count_too(project):
    submission = Submission.objects.current().first()
    Submission.objects.filter(pk=submission.pk).update(shown=[])
    Annotation.objects.filter(submission=submission, kind="pick").update(protocol="their-own")
    found = [one for one in judgements_of(project) if one.shown == ()]
    assert {one.name for one in found} == {"their-own", "slider-1-100"}
    assert all(len(one.values) == len(one.lengths) == 2 for one in found)
    assert figures_of(project)


def test_judgements_take_three_queries_whatever_the_number_of_answers(project, django_assert_num_queries):
    with django_assert_num_queries(3):
        judgements_of(project)
