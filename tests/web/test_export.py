"""The export: every model that leads to a person, every file, nobody else's, no secret."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.conf import settings
from django.urls import reverse

from alignapp.accounts.belongings import NOT_EXPORTED, lookups_to_person, personal_models, rows_of
from alignapp.accounts.export import export
from alignapp.accounts.models import Person
from personalization import artifacts
from tests.web.everything import everything_of, missing_rows

PASSWORD = "a long pass phrase"
pytestmark = pytest.mark.django_db


def exported(person: Person) -> dict[str, bytes]:
    with export(person) as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rows_in(files: dict[str, bytes], label: str) -> list[dict]:
    return [json.loads(line) for line in files[f"{label}.jsonl"].splitlines()]


def leads_to_a_person(model) -> bool:
    """Walk every forward relation, by another way than the export's own."""
    seen, todo = set(), [model]
    while todo:
        current = todo.pop()
        if current is Person:
            return True
        if current not in seen:
            seen.add(current)
            todo += [
                f.related_model
                for f in current._meta.get_fields()
                if f.many_to_one or (f.one_to_one and f.concrete)
            ]
    return False


def test_every_model_that_leads_to_a_person_is_exported_or_excluded_with_a_reason(owner):
    everything_of(owner)
    files = exported(owner)
    for model in apps.get_models():
        label = model._meta.label_lower
        if leads_to_a_person(model):
            assert f"{label}.jsonl" in files or NOT_EXPORTED[label], f"{label} is not exported"
        else:
            assert f"{label}.jsonl" not in files
    assert missing_rows(owner) == []  # and each of them has rows in this test


def test_declared_owner_paths_lead_to_a_person():
    for model in personal_models():
        for lookup in lookups_to_person(model):
            model._base_manager.filter(**{lookup: "00000000-0000-0000-0000-000000000000"}).exists()


def test_the_export_equals_the_rows(owner, other):
    everything_of(owner)
    everything_of(other)
    files = exported(owner)
    for model, rows in rows_of(owner):
        written = rows_in(files, model._meta.label_lower)
        assert [row[model._meta.pk.attname] for row in written] == json.loads(
            json.dumps([row.pk for row in rows], default=str)
        )
    assert "a title" in files["chat.conversation.jsonl"].decode().lower()


def test_nothing_of_another_person_is_in_it(owner, other):
    everything_of(owner)
    everything_of(other)
    text = b"\n".join(exported(owner).values()).decode(errors="replace")
    assert str(other.pk) not in text
    assert other.email not in text
    assert owner.email in text


def test_no_password_and_no_chain_hash_is_in_it(owner):
    everything_of(owner)
    text = b"\n".join(exported(owner).values()).decode(errors="replace")
    assert owner.password not in text
    assert '"salt"' not in text


def test_artifact_files_are_in_it_as_they_lie_on_disk(owner):
    theirs = everything_of(owner)
    folder = artifacts.path_of(settings.ARTIFACT_DIR, theirs.artifact.digest)
    files = exported(owner)
    for path in folder.iterdir():
        assert files[f"artifacts/adapter-v1/{path.name}"] == path.read_bytes()


def test_files_that_are_gone_are_named_in_the_readme(owner):
    theirs = everything_of(owner)
    artifacts.discard(artifacts.path_of(settings.ARTIFACT_DIR, theirs.artifact.digest))
    assert "The files of Adapter v1 could not be found." in exported(owner)["README.txt"].decode()


def test_the_download_needs_the_password_again(owner, client):
    everything_of(owner)
    Authenticator.objects.all().delete()  # the password alone signs in here
    client.post(reverse("account_login"), {"login": owner.email, "password": PASSWORD})
    page = reverse("account_export")
    asked = client.get(page, follow=True)
    assert "press “Export everything” once more" in asked.content.decode()
    back = client.post(
        reverse("account_reauthenticate"),
        {"password": PASSWORD, "next": asked.context["redirect_field_value"]},
    )
    assert back.url == reverse("account")  # a download would leave the browser where it asks for the password
    response = client.get(page)
    assert response["Content-Disposition"].startswith("attachment")
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
        assert "README.txt" in archive.namelist()
