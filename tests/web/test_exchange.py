"""Data in and out of a project: what comes in twice changes nothing, and what comes out is what came in."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.urls import reverse

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.annotation.models import (
    Annotation,
    Assignment,
    Candidate,
    Item,
    Membership,
    Project,
    Submission,
)
from alignapp.annotation.services.projects import create_project
from alignapp.annotation.services.strategies import wins_between_makers
from alignapp.exchange import records, services
from alignapp.exchange.models import Import, ImportedPerson
from alignapp.exchange.rows import commit
from alignapp.feedback.models import Feedback
from alignapp.leased import LeaseLost
from alignapp.quality.figures import figures_of
from personalization.exchange import registry, transfer
from personalization.exchange.transfer import Export
from tests.web.rows import answered_turn, conversation_of
from workers.tasks.exchange import run_import

DATA = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[2].parent / "shared/data"))
ROWS = [Item, Candidate, Assignment, Submission, Annotation, Person, ImportedPerson, Membership]
PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "person": "ann", "licence": "CC-BY-4.0"}


@pytest.fixture(autouse=True)
def uploads(settings, tmp_path) -> None:
    """Each test has a folder of its own."""
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def project(owner) -> Project:
    return create_project(owner, name="Pairs", protocols=[{"name": "pick-1-of-n"}])


def jsonl(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def bring(project: Project, data: bytes, form: str, **terms):
    terms = {"licence": "", "may_train": True} | terms
    return commit(project, services.read(io.BytesIO(data), registry.get(form), **terms))


def count() -> list[int]:
    return [model.objects.count() for model in ROWS]


def written(project: Project, form: str, purpose: str = "analysis") -> tuple[list[dict], Export]:
    export = Export(registry.get(form), purpose)
    text = "".join(export.lines(records.of_project(project)))
    return (json.loads(text) if text[:1] == "[" else [json.loads(x) for x in text.splitlines()]), export


REAL = [
    ("pandalm/pairs.json", "pandalm"),
    ("finegrained_rlhf/feedback.json", "finegrained"),
    ("oasst/trees.jsonl", "oasst"),
    ("hh_rlhf/harmless_test.jsonl.gz", "hh"),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "form"), REAL)
def test_real_records_come_out_of_the_database_as_they_went_in_and_twice_is_once(project, name, form):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set ALIGN_DATA to the data folder")
    with path.open("rb") as file:
        found = list(transfer.read(file, registry.get(form)))[:60]
    whole = [one for one in found if one.record.conversation in ("", found[0].record.conversation)]
    done = commit(project, whole)
    assert (done.new, done.errors) == (len(whole), 0)
    assert done.judgements == sum(len(one.record.judgements) for one in whole)
    direct = Export(registry.get(form), "analysis")
    text = "".join(direct.lines(one.record for one in whole))
    rows, _ = written(project, form)
    assert rows == (json.loads(text) if text[0] == "[" else [json.loads(line) for line in text.splitlines()])
    before = count()
    again = commit(project, whole)
    assert (again.new, again.judgements, again.known) == (0, 0, len(whole))
    assert count() == before


def test_imported_judgements_count_as_submitted_and_take_their_places(project):
    rows = [PAIR, {**PAIR, "person": "bob"}, {**PAIR, "chosen": "No.", "rejected": "Because."}]
    bring(project, jsonl(*rows), "trl-preference")
    items = list(project.items.all())
    assert [(item.taken, item.wanted) for item in items] == [(2, 2), (1, 1)]
    act = Annotation.objects.current().filter(submission__assignment__item=items[0]).first()
    assert (act.kind, act.protocol, act.candidate.text) == ("pick", "pick-1-of-n", "Because.")
    assert set(Assignment.objects.values_list("state", "strategy")) == {("submitted", "import")}
    assert {one.name for one in ImportedPerson.objects.all()} == {"ann", "bob"}
    person = ImportedPerson.objects.first().person
    assert not person.is_active
    assert not person.has_usable_password()


def test_imported_people_go_with_their_project(project):
    bring(project, jsonl(PAIR), "trl-preference")
    project.delete()
    assert Person.objects.count() == 1  # the owner


def test_a_bad_line_is_named_and_the_others_are_kept(project):
    data = (
        jsonl(PAIR)
        + b"{broken\n"
        + jsonl({"prompt": "Q", "chosen": 3, "rejected": "b"}, {**PAIR, "prompt": "How?"})
    )
    done = bring(project, data, "trl-preference")
    assert (done.new, done.errors) == (2, 2)
    assert [line for line, _ in done.first_errors] == [2, 3]
    assert "one object a line" in done.first_errors[0][1]
    assert "“chosen” has to be a text or a list of messages" in done.first_errors[1][1]


def test_what_the_tables_cannot_hold_is_a_bad_line_and_no_broken_import(project):
    rated = {
        "utterance_id": "u", "interaction_id": "i", "conversation_id": "c", "user_id": "ann", "turn": 0,
        "within_turn_id": 0, "conversation_type": "unguided", "model_name": "m", "model_provider": "p",
        "user_prompt": "Why?", "model_response": "So.", "score": 101, "if_chosen": True,
    }  # fmt: skip
    done = bring(project, jsonl(rated), "prism-utterances")
    assert done.first_errors == [(1, "A rating is 101.0; ratings go from 1 to 100.")]
    done = bring(project, jsonl(rated | {"score": 100, "model_name": "m" * 201}), "prism-utterances")
    assert done.first_errors[0][1].startswith("The maker of an answer has more than 200 characters")


def test_what_may_not_be_trained_on_does_not_leave_for_training(project):
    rows = [
        PAIR, {**PAIR, "prompt": "b", "licence": "CC-BY-NC-4.0"}, {**PAIR, "prompt": "c", "may_train": False},
        {**PAIR, "prompt": "d", "licence": ""},
    ]  # fmt: skip
    bring(project, jsonl(*rows), "trl-preference", licence="CC-BY-ND-4.0")
    rows, export = written(project, "trl-preference", "training")
    assert [row["prompt"] for row in rows] == ["Why?"]
    assert sum(export.left_out.values()) == 3
    rows, _ = written(project, "trl-preference")
    assert {row["prompt"]: row["may_train"] for row in rows} == {
        "Why?": True,
        "b": False,
        "c": False,
        "d": False,
    }
    project.memberships.filter(person__imported_as__name="ann").update(may_train=False)
    rows, export = written(project, "trl-preference", "training")
    assert not rows
    assert export.left_out[transfer.NO_CONSENT] == 1


def test_answers_in_another_order_are_the_same_answers_and_others_are_a_bad_line(project):
    one = {**PAIR, "id": "q"}
    swapped = {**one, "person": "bob", "chosen": "No.", "rejected": "Because."}
    done = bring(project, jsonl(one, swapped, {**one, "person": "cy", "chosen": "Else."}), "trl-preference")
    assert (done.new, done.judgements, done.errors) == (1, 2, 1)
    assert done.first_errors[0][0] == 3
    picked = Annotation.objects.order_by("submission__assignment__annotator__imported_as__name")
    assert [act.candidate.text for act in picked] == ["Because.", "No."]


def test_where_a_file_does_not_say_how_answers_stood_nobody_preferred_a_side(project):
    bring(project, jsonl(*({**PAIR, "id": str(n)} for n in range(12))), "trl-preference")
    figures = {one["key"]: one for one in figures_of(project)}
    assert figures["left"]["rows"] == []  # the chosen one is written first, which is no preference for it
    assert figures["progress"]["rows"]
    rows, export = written(project, "prism-utterances")
    assert {row["display_position"] for row in rows} == {None}
    assert not export.picks["ordered"]


def test_rows_that_name_no_language_have_the_projects_only_one(project):
    project.languages = ["de"]
    bring(project, jsonl({**PAIR, "id": "1"}, {**PAIR, "id": "2", "language": "fr"}), "trl-preference")
    project.languages = ["de", "fr"]
    bring(project, jsonl({**PAIR, "id": "3"}), "trl-preference")
    said = project.items.order_by("created_at").values_list("language", flat=True)
    assert list(said) == ["de", "fr", ""]


def test_the_makers_of_imported_answers_count_for_the_active_strategy(project):
    rated = {
        "utterance_id": "u", "interaction_id": "i", "conversation_id": "c", "user_id": "ann", "turn": 0,
        "conversation_type": "unguided", "model_provider": "p", "user_prompt": "Why?",
    }  # fmt: skip
    good = rated | {
        "within_turn_id": 0,
        "model_name": "good",
        "model_response": "So.",
        "score": 90,
        "if_chosen": True,
    }
    bad = rated | {
        "within_turn_id": 1,
        "model_name": "bad",
        "model_response": "No.",
        "score": 9,
        "if_chosen": False,
    }
    bring(project, jsonl(good, bad), "prism-utterances")
    assert dict(wins_between_makers(project)) == {("good", "bad"): 1}


def test_a_batch_takes_as_many_queries_however_many_rows_it_has(project, django_assert_max_num_queries):
    def rows(count, first):
        return [{**PAIR, "id": str(first + n), "person": f"p{n % 7}"} for n in range(count)]

    bring(project, jsonl(*rows(10, 0)), "trl-preference")
    with django_assert_max_num_queries(15):
        bring(project, jsonl(*rows(400, 10)), "trl-preference")
    with django_assert_max_num_queries(10):
        assert len(list(records.of_project(project))) == 410


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite plans without statistics")
def test_after_a_large_import_the_database_knows_its_sizes(project, monkeypatch):
    monkeypatch.setattr("alignapp.exchange.rows.MANY", 1)
    bring(project, jsonl(*({**PAIR, "id": str(n)} for n in range(20))), "trl-preference")
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'annotation_item'")
        assert cursor.fetchone() == (20,)


def test_the_ids_of_imported_answers_do_not_tell_which_came_first(project):
    bring(project, jsonl(*({**PAIR, "id": str(n)} for n in range(60))), "trl-preference")
    first = [item.candidates.order_by("pk")[0].position for item in project.items.all()]
    assert 10 < sum(first) < 50


def test_the_card_says_how_far_people_agree(project):
    rows = [{**PAIR, "id": str(n), "person": who} for n in range(4) for who in ("ann", "bob")]
    rows[0] |= {"chosen": "No.", "rejected": "Because."}
    bring(project, jsonl(*rows), "trl-preference")
    (name,) = found = services.about_project(project).agreement
    assert name == "Krippendorff's alpha, pick-1-of-n (nominal)"
    assert "95 % interval" in found[name]


def test_nobodys_address_leaves(project, other):
    bring(project, jsonl({**PAIR, "person": ""}), "trl-preference")
    Membership.objects.create(project=project, person=other, role="annotator", may_train=True)
    Assignment.objects.update(annotator=other)
    text = json.dumps(written(project, "prism-utterances")[0])
    assert "@" not in text
    assert records.pseudonym(project.pk, other.pk) in text
    assert str(other.pk) not in text


# --- pages ------------------------------------------------------------------------------------


def upload(client, project: Project, data: bytes, **fields):
    file = SimpleUploadedFile("pairs.jsonl", data)
    fields = {"may_train": "on"} | fields
    return client.post(reverse("exchange:import", args=[project.id]), {"file": file, **fields})


def test_from_upload_by_preview_to_rows_and_the_zip(owner, project, client_of):
    client = client_of(owner)
    response = upload(client, project, jsonl(PAIR) + b"nonsense\n")
    row = Import.objects.get()
    assert response.url == reverse("exchange:one_import", args=[row.id])
    page = client.get(response.url).content.decode()
    assert "TRL preference" in page
    assert "1 line cannot be read" in page
    assert "Because." in page
    assert not Item.objects.exists()  # nothing is stored before it was looked at

    client.post(reverse("exchange:commit", args=[row.id]))
    run_import(str(row.id))
    run_import(str(row.id))  # the same message again does nothing
    row.refresh_from_db()
    assert (row.state, row.counts["new"], row.counts["errors"], row.progress) == ("done", 1, 1, 1.0)
    assert not row.path.exists()
    assert "1 new item" in client.get(response.url).content.decode()

    address = reverse("exchange:export", args=[project.id])
    response = client.post(
        address, {"formats": ["trl-preference", "prism-utterances"], "purpose": "training"}
    )
    archive = zipfile.ZipFile(io.BytesIO(b"".join(response)))
    assert archive.namelist() == ["trl-preference.jsonl", "prism-utterances.jsonl", "README.md"]
    [line] = archive.read("trl-preference.jsonl").splitlines()
    assert {name: json.loads(line)[name] for name in PAIR} == PAIR
    card = archive.read("README.md").decode()
    assert "license: cc-by-4.0" in card
    assert "`trl-preference.jsonl`: TRL preference, 1 rows from 1 records, for training" in card


def test_a_file_that_nobody_recognises_is_refused_and_leaves_nothing(owner, project, client_of, settings):
    response = upload(client_of(owner), project, jsonl({"a": 1}))
    assert response.status_code == 400
    assert "The format was not recognised (a)" in response.content.decode()
    assert not list(Path(settings.UPLOAD_DIR).glob("*"))


def test_prompts_alone_are_announced_to_be_answered_and_wait_for_it(owner, project, client_of):
    client = client_of(owner)
    response = upload(client, project, jsonl({"prompt": "Why?"}, {"prompt": "How?"}))
    assert "Models write 2 answers to each" in client.get(response.url).content.decode()
    row = Import.objects.get()
    client.post(reverse("exchange:commit", args=[row.id]))
    run_import(str(row.id))
    assert list(project.items.values_list("is_ready", "taken", "wanted")) == [(False, 0, 1)] * 2


def test_an_upload_can_be_thrown_away(owner, project, client_of):
    client = client_of(owner)
    upload(client, project, jsonl(PAIR))
    row = Import.objects.get()
    client.post(reverse("exchange:discard", args=[row.id]))
    assert not Import.objects.exists()
    assert not row.path.exists()


@pytest.mark.parametrize("name", ["exchange:import", "exchange:export"])
def test_only_managers_reach_the_pages(owner, other, project, client_of, name):
    address = reverse(name, args=[project.id])
    assert client_of(owner).get(address).status_code == 200
    Membership.objects.create(project=project, person=other, role="annotator")
    assert client_of(other).get(address).status_code == 404
    assert client_of(None).get(address).status_code == 302


def test_a_worker_that_lost_its_import_changes_nothing(owner, project, client_of):
    upload(client_of(owner), project, jsonl(PAIR))
    row = Import.objects.get()
    Import.objects.update(state="queued")
    first = Import.claim(row.id, "a")
    assert Import.claim(row.id, "b") is None
    Import.objects.update(lease_owner="b")
    with pytest.raises(LeaseLost):
        services.run(first)


# --- commands ---------------------------------------------------------------------------------


def test_the_commands_read_and_write_what_the_pages_do(project, tmp_path, capsys):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(jsonl(PAIR))
    call_command("import_data", path, "--project", str(project.id), "--dry-run")
    assert not Item.objects.exists()
    call_command("import_data", path, "--project", str(project.id))
    assert "new 1" in capsys.readouterr().out
    call_command("export_data", tmp_path / "out.zip", "--project", str(project.id), "--format", "sft")
    [line] = zipfile.ZipFile(tmp_path / "out.zip").read("sft.jsonl").splitlines()
    assert json.loads(line)["messages"][-1] == {"role": "assistant", "content": "Because."}
    with pytest.raises(CommandError, match="There is no project nothing"):
        call_command("import_data", path, "--project", "nothing")


def test_a_persons_own_feedback_is_exported_with_what_they_agreed_to(owner, tmp_path):
    conversation = conversation_of(owner)
    turn, replies = answered_turn(conversation, "one", "two")
    for reply, score in zip(replies, (90, 10), strict=True):
        Feedback.objects.create(
            person=owner, turn=turn, reply=reply, kind="rating", protocol="slider-1-100", score=score
        )
    [example] = records.of_person(owner)
    assert not example.judgements[0].may_train
    give_consent(owner)
    command = [
        "export_data",
        tmp_path / "mine.zip",
        "--person",
        owner.email,
        "--format",
        "trl-conversational",
    ]
    call_command(*command)
    archive = zipfile.ZipFile(tmp_path / "mine.zip")
    row = json.loads(archive.read("trl-conversational.jsonl"))
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("one", "two")
    assert row["margin"] == pytest.approx(80 / 99, abs=1e-3)
    assert owner.email not in archive.read("README.md").decode()
