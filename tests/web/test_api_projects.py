"""A project's data in and out by a program: what the pages do, for those whom the pages let in."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from django.test import Client

from alignapp.annotation.models import Item, Membership, Project
from alignapp.annotation.services.projects import create_project
from alignapp.api.models import ApiToken
from alignapp.audit.models import AuditEvent
from alignapp.exchange.models import Import
from workers.tasks.exchange import run_import

pytestmark = pytest.mark.django_db(transaction=True)
PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "person": "ann", "licence": "CC-BY-4.0"}
FILE = json.dumps(PAIR).encode() + b"\nnonsense\n"


@pytest.fixture(autouse=True)
def uploads(settings, tmp_path) -> None:
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def project(owner) -> Project:
    return create_project(owner, name="Pairs")


class Program:
    """Sends requests with a person's token."""

    def __init__(self, person, *scopes: str) -> None:
        secret = ApiToken.issue(person, name="robot", scopes=scopes or ["projects"])[1]
        self.client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})

    def get(self, path: str, **asked):
        return self.client.get(f"/v1/{path}", asked)

    def post(self, path: str, data: bytes = b""):
        return self.client.post(f"/v1/{path}", data, content_type="application/octet-stream")


def whole(response) -> bytes:
    """Return a stream's bytes; the test client gives an asynchronous one."""
    return b"".join(response.getvalue() if not response.streaming else _read(response))


def _read(response):
    import asyncio

    async def read() -> list[bytes]:
        return [piece async for piece in response.streaming_content]

    return asyncio.run(read())


def test_a_file_goes_in_and_comes_out(owner, project):
    program = Program(owner)
    assert [one["name"] for one in program.get("projects").json()["data"]] == ["Pairs"]
    sent = program.post(f"projects/{project.id}/imports?name=pairs.jsonl&may_train=true", FILE)
    told = sent.json()
    assert (sent.status_code, told["state"], told["format"]) == (201, "shown", "trl-preference")
    assert (told["preview"]["records"], told["preview"]["errors"]) == (1, 1)
    assert told["preview"]["list"][0][0] == 2  # the line that cannot be read
    assert not Item.objects.exists()
    committed = program.post(f"imports/{told['id']}/commit")
    assert (committed.status_code, committed.json()["state"]) == (202, "queued")
    run_import(told["id"])
    told = program.get(f"imports/{told['id']}").json()
    assert (told["state"], told["counts"]["new"], told["progress"]) == ("done", 1, 1.0)
    response = program.get(f"projects/{project.id}/export", format=["trl-preference", "sft"])
    archive = zipfile.ZipFile(io.BytesIO(whole(response)))
    assert archive.namelist() == ["trl-preference.jsonl", "sft.jsonl", "README.md"]
    assert json.loads(archive.read("trl-preference.jsonl"))["chosen"] == "Because."
    verbs = set(AuditEvent.objects.values_list("verb", flat=True))
    assert {"project.imported", "project.exported"} <= verbs


def test_only_those_who_manage_it_and_only_with_the_scope(owner, other, project, django_user_model):
    outsider = django_user_model.objects.create_user("outsider@example.org")
    Membership.objects.create(project=project, person=other, role="annotator")
    row = Import.objects.create(person=owner, project=project, name="x", format="trl-preference")
    for person in (other, outsider):
        program = Program(person)
        assert program.get("projects").json()["data"] == []
        assert program.post(f"projects/{project.id}/imports", FILE).status_code == 404
        assert program.get(f"projects/{project.id}/export", format="sft").status_code == 404
        assert program.get(f"imports/{row.id}").status_code == 404
        assert program.post(f"imports/{row.id}/commit").status_code == 404
    assert Import.objects.count() == 1
    refused = Program(owner, "chat").get(f"projects/{project.id}/export", format="sft")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_scope")


def test_what_is_wrong_is_said_in_the_shape_of_the_api(owner, project, settings):
    program = Program(owner)
    path = f"projects/{project.id}/imports"
    for asked, data, words in [
        ("", b'{"a": 1}\n', "The format was not recognised (a)"),
        ("?format=trl", FILE, "Did you mean trl-implicit?"),
        (f"?licence={'x' * 101}", FILE, "at most 100 characters"),
    ]:
        response = program.post(path + asked, data)
        assert response.status_code == 400
        assert words in response.json()["error"]["message"]
    response = program.get(f"projects/{project.id}/export")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "format")
    settings.MAX_UPLOAD_BYTES = 10
    assert program.post(path, FILE).status_code == 413
    assert not Import.objects.exists()
    assert not list(settings.UPLOAD_DIR.glob("*"))
