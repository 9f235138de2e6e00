"""What people say: each protocol's rows, and versions that never overwrite each other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignapp.annotation import protocols
from alignapp.annotation.errors import Elsewhere, Incomplete, Refused
from alignapp.annotation.models import Annotation, Assignment, Candidate
from alignapp.annotation.protocols import Given, Unfit
from alignapp.annotation.services import answers, projects
from tests.web.annotated import claimed, member_of, pick, project_of

TEXTS = ("An egg 🥚 takes ten minutes.", "Boil it.", "No.")
THREE = [Candidate(position=n, text=text) for n, text in enumerate(TEXTS)]
A, B, C = (str(one.id) for one in THREE)


def read(name: str, values: dict[str, str], candidates=THREE, **settings) -> list[Annotation]:
    form = {field: [value] for field, value in values.items()}
    return protocols.get(name).read(Given(form, candidates, settings))


def test_every_protocol_says_how_it_is_asked_and_what_its_values_are():
    assert len(protocols.found()) == 10
    for protocol in protocols.found().values():
        assert protocol.scale in ("nominal", "ordinal", "interval", "none")
        assert protocol.candidate_template or protocol.item_template
        assert protocol.read(Given({}, THREE)) == []
        assert str(protocol.title)
        assert str(protocol.help)


def test_an_unknown_protocol_is_answered_with_the_nearest_names():
    with pytest.raises(protocols.UnknownProtocol, match="pick-1-of-n"):
        protocols.get("pick-one-of-n")


def test_a_slider_that_nobody_touched_is_not_fifty():
    name = f"slider-1-100.{A}"
    assert read("slider-1-100", {name: "50"}) == []
    (act,) = read("slider-1-100", {name: "50", f"touched.{name}": "on"})
    assert (act.kind, act.score, act.candidate) == ("rating", 50, THREE[0])


@pytest.mark.parametrize(
    ("said", "kind", "candidate", "ranking"),
    [(B, "pick", THREE[1], None), ("none", "pick", None, None), ("tie", "ranking", None, [[A, B, C]])],
)
def test_a_pick_is_one_of_them_or_a_tie_or_nobody(said, kind, candidate, ranking):
    (act,) = read("pick-1-of-n", {"pick-1-of-n": said})
    assert (act.kind, act.candidate, act.ranking) == (kind, candidate, ranking)


def test_best_and_worst_leave_the_others_between_them():
    (act,) = read("best-worst", {"best-worst.best": C, "best-worst.worst": A})
    assert act.ranking == [[C], [B], [A]]
    with pytest.raises(Unfit, match="two different answers"):
        read("best-worst", {"best-worst.best": C, "best-worst.worst": C})


@given(places=st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_a_ranking_keeps_the_order_and_the_ties_of_the_places(places):
    form = {f"places-with-ties.{c.id}": str(at) for c, at in zip(THREE, places, strict=True)}
    (act,) = read("places-with-ties", form)
    rank = {one: at for at, ids in enumerate(act.ranking) for one in ids}
    for first, at in zip((A, B, C), places, strict=True):
        for second, other in zip((A, B, C), places, strict=True):
            assert (rank[first] < rank[second]) == (at < other)


@given(start=st.integers(-2, 40), end=st.integers(-2, 40))
def test_a_marked_place_lies_in_the_text_or_is_refused(start, end):
    spans = json.dumps([{"start": start, "end": end, "type": "style"}])
    form = {f"marked-spans.{A}.spans": spans}
    if 0 <= start < end <= len(TEXTS[0]):
        (act,) = read("marked-spans", form)
        assert TEXTS[0][act.spans[0]["start"] : act.spans[0]["end"]]
    else:
        with pytest.raises(Unfit, match="does not lie in the answer"):
            read("marked-spans", form)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("scale-1-7", {f"scale-1-7.{A}": "8"}, "between 1 and 7"),
        ("slider-1-100", {f"slider-1-100.{A}": "x", f"touched.slider-1-100.{A}": "on"}, "between 1 and 100"),
        ("pick-1-of-n", {"pick-1-of-n": "somebody"}, "not one of these"),
        ("thumb", {f"thumb.{A}": "2"}, "up or down"),
        ("places-with-ties", {f"places-with-ties.{A}": "1"}, "1 of 3 answers have a place"),
        ("free-comment", {"free-comment": "x" * 20_001}, "at most 20,000"),
        ("marked-spans", {f"marked-spans.{A}.spans": "{"}, "does not lie"),
        ("marked-spans", {f"marked-spans.{A}.spans": "[3]"}, "does not lie"),
        ("marked-spans", {f"marked-spans.{A}.spans": "[" * 100_000}, "does not lie"),
    ],
)
def test_what_is_no_answer_is_refused_with_words(name, values, words):
    with pytest.raises(Unfit, match=words):
        read(name, values)


def test_attributes_edits_and_comments_are_rows_of_their_own():
    form = {f"attributes-1-100.{A}.fluency": "80", f"touched.attributes-1-100.{A}.fluency": "on"}
    (act,) = read("attributes-1-100", form)
    assert (act.kind, act.attribute, act.score) == ("rating", "fluency", 80)
    assert read("edited-answer", {f"edited-answer.{B}": " Boil it.\r\n"}) == []
    (act,) = read("edited-answer", {f"edited-answer.{B}": "Boil it for ten minutes."})
    assert (act.kind, act.text) == ("edit", "Boil it for ten minutes.")
    (act,) = read("free-comment", {"free-comment": "All are short."})
    assert (act.kind, act.candidate) == ("critique", None)


def test_when_and_how_a_field_was_answered_is_kept():
    timings = json.dumps({"pick-1-of-n": [4200, "keyboard"]})
    (act,) = read("pick-1-of-n", {"pick-1-of-n": A, "timings": timings})
    assert (act.duration_ms, act.input_kind) == (4200, "keyboard")
    (act,) = read("pick-1-of-n", {"pick-1-of-n": A, "timings": '{"pick-1-of-n": ["x", 1]}'})
    assert (act.duration_ms, act.input_kind) == (None, "")


def test_gold_says_what_is_right():
    (act,) = read("pick-1-of-n", {"pick-1-of-n": A})
    right = protocols.get("pick-1-of-n").is_right
    assert [right({"best": [0]}, [act]), right({"best": [1]}, [act]), right({}, [act])] == [True, False, None]


@pytest.fixture
def assignment(owner) -> Assignment:
    every = [{"name": name, "required": name == "pick-1-of-n"} for name in protocols.found()]
    return claimed(member_of(project_of(owner, protocols=every), "a"))


@pytest.mark.django_db
def test_an_edit_after_submitting_is_a_version_and_nothing_is_lost(assignment):
    first = answers.submit(assignment, {**pick(assignment), "free-comment": ["Fine."]}, active_ms=9000)
    second = answers.submit(assignment, pick(assignment, 1), active_ms=12_000)
    first.refresh_from_db()
    assert first.superseded_at is not None
    assert (second.number, second.duration_ms) == (2, 12_000)
    (now,) = Annotation.objects.current()
    assert str(now.candidate_id) == assignment.order[1]
    assert Annotation.objects.count() == 3
    assert [entry["candidate"] for entry in second.shown] == assignment.order
    with pytest.raises(TypeError, match="never changed"):
        now.save()


@pytest.mark.django_db
def test_rating_pick_and_critique_of_one_page_are_one_submission(assignment):
    one = assignment.order[0]
    form = pick(assignment)
    form |= {f"slider-1-100.{one}": ["70"], f"touched.slider-1-100.{one}": ["on"]}
    form |= {f"marked-spans.{one}": ["Too short."], f"thumb.{one}": ["1"]}
    answers.submit(assignment, form)
    assert sorted(Annotation.objects.values_list("kind", flat=True)) == [
        "critique",
        "pick",
        "rating",
        "thumb",
    ]


@pytest.mark.django_db
def test_what_is_missing_is_said_for_each_protocol_and_stores_nothing(assignment):
    with pytest.raises(Incomplete) as refused:
        answers.submit(assignment, {f"thumb.{assignment.order[0]}": ["3"]})
    assert set(refused.value.errors) == {"pick-1-of-n", "thumb"}
    assert not Annotation.objects.exists()


@pytest.mark.django_db
def test_two_windows_do_not_overwrite_each_other(assignment):
    assert answers.save_draft(assignment, {"free-comment": ["one"]}, number=0) == 1
    with pytest.raises(Elsewhere, match="another window"):
        answers.save_draft(assignment, {"free-comment": ["two"]}, number=0)
    row = Assignment.objects.get(pk=assignment.pk)
    assert (row.state, row.draft) == ("draft", {"free-comment": ["one"]})


@pytest.mark.django_db
def test_nothing_is_submitted_to_a_closed_project(assignment):
    assignment.item.project.is_open = False
    with pytest.raises(Refused, match="closed"):
        answers.submit(assignment, pick(assignment))


@pytest.mark.django_db
def test_each_submission_names_the_guidelines_that_were_in_force(assignment):
    for text in ("# One", "# Two"):
        projects.add_guidelines(assignment.item.project, text)
        answers.submit(assignment, pick(assignment))
    found = assignment.submissions.order_by("number").values_list("guidelines__text", flat=True)
    assert list(found) == ["# One", "# Two"]
    with pytest.raises(Refused, match="nothing was changed"):
        projects.add_guidelines(assignment.item.project, "# Two")
