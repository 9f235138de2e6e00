"""Erasing: nothing of a person is left in the database, on disk or in the broker, and failures repeat."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core import serializers
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.erase import erase, repeat_purges
from alignapp.accounts.models import Erasure, Person
from alignapp.adapters.evictions import Evictions
from alignapp.adapters.models import Artifact, Job
from alignapp.audit.chain import verify_chain
from alignapp.audit.models import AuditEvent
from alignapp.chat import streams
from alignapp.chat.models import Conversation
from alignapp.instant.models import InstantVector
from personalization import artifacts
from tests.web.everything import (
    everything_of,
    missing_rows,
    sign_in_with_words,
    write_everywhere,
    write_files,
)

CANARY = "canary7f3a"
PASSWORD = "a long pass phrase"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"


def hits_in_database(word: str) -> list[str]:
    """Return the tables in which any column of any row holds the word, read as the database holds it."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [table for row in cursor.fetchall() if word in repr(row)]
    return found


def hits_on_disk(word: str) -> list[str]:
    paths = list(Path(settings.VAR_DIR).rglob("*"))
    named = [str(p) for p in paths if word in p.name]
    return named + [str(p) for p in paths if p.is_file() and word.encode() in p.read_bytes()]


def holds(database: Path, word: str) -> bool:
    """Whether a database's file holds the word; another process reads it.

    Closing the file in this process would drop the locks that SQLite holds on it (POSIX gives locks up
    at a process's first close), and with them the write-ahead log's safety in all later tests.
    """
    return subprocess.run(["grep", "-qaF", word, database], check=False).returncode == 0


def hits_in_broker(word: str) -> list[str]:
    client = streams.connection()
    readers = {
        "string": client.get,
        "stream": client.xrange,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
    }
    return [key for key in client.scan_iter() if word in key or word in repr(readers[client.type(key)](key))]


def hits(word: str) -> list[str]:
    return hits_in_database(word) + hits_on_disk(word) + hits_in_broker(word)


def test_the_canary_is_found_before_and_nowhere_after(owner, other):
    theirs = everything_of(owner)
    everything_of(other)
    assert missing_rows(owner) == []
    assert write_everywhere(owner, CANARY) > 20
    write_files(theirs, CANARY)
    sign_in_with_words(owner, CANARY)
    owner.refresh_from_db()
    assert len(set(hits_in_database(CANARY))) >= 14
    assert len(hits_on_disk(CANARY)) == 3
    assert hits_in_broker(CANARY)
    before = serializers.serialize("json", Conversation.objects.for_person(other))
    erase(owner)
    assert set(hits(CANARY)) <= {f"reply:{r}" for r in replies_of(other)}  # written there by this test
    assert hits_in_database(str(owner.email)) == []
    assert serializers.serialize("json", Conversation.objects.for_person(other)) == before
    assert missing_rows(other) == []


def replies_of(person: Person) -> list[str]:
    return [
        str(r.pk)
        for c in Conversation.objects.for_person(person)
        for t in c.turns.all()
        for r in t.replies.all()
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's pages are not ours to read")
def test_the_database_file_itself_holds_no_trace(owner):
    everything_of(owner)
    write_everywhere(owner, CANARY)
    database = Path(connection.settings_dict["NAME"])
    files = [database, database.with_name(database.name + "-wal")]
    assert any(holds(file, CANARY) for file in files)
    owner.refresh_from_db()
    erase(owner)
    assert not any(holds(file, CANARY) for file in files)


def test_the_audit_record_stays_masked_and_whole(owner, other):
    everything_of(owner)
    everything_of(other)
    assert verify_chain() == []
    pseudonym = owner.pseudonym
    erase(owner)
    assert verify_chain() == []
    assert set(hits_in_database(pseudonym)) == {"audit_auditevent"}
    assert AuditEvent.objects.filter(subject=other, masked=False).exists()


def test_engines_are_told_which_adapters_and_whom_to_forget(owner):
    theirs, engine, name = everything_of(owner), Evictions(), str(owner.pk)
    assert engine.new() == []
    vector = InstantVector.objects.get(person=owner).digest
    erase(owner)
    assert engine.new() == [theirs.artifact.digest, vector, theirs.study.reward.digest, name]
    assert engine.new() == []


def test_a_worker_that_still_writes_is_stopped(owner):
    everything_of(owner)
    running = Conversation.objects.get(person=owner).turns.get().replies.get(status="running")
    erase(owner)
    assert streams.is_cancelled(running.id)
    streams.publish(running.id, "token", text=CANARY)  # before it noticed
    repeat_purges()
    assert hits_in_broker(CANARY) == []


def test_what_a_worker_sealed_meanwhile_goes_with_the_next_sweep(owner, tmp_path):
    theirs = everything_of(owner)
    kept = tmp_path / "kept"
    folder = artifacts.path_of(settings.ARTIFACT_DIR, theirs.artifact.digest)
    shutil.copytree(folder, kept)
    Artifact.objects.all().delete()  # as if its row had not been written yet
    erase(owner)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    repeat_purges()
    assert not folder.exists()


def test_files_that_cannot_be_removed_are_tried_again(owner, monkeypatch):
    theirs = everything_of(owner)
    folder = artifacts.path_of(settings.ARTIFACT_DIR, theirs.artifact.digest)
    with monkeypatch.context() as broken:
        broken.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
        erase(owner)
    assert folder.exists()
    Erasure.objects.update(at=timezone.now() - timedelta(hours=2))
    repeat_purges()
    assert not folder.exists()
    assert not Erasure.objects.exists()


def test_an_erasure_is_watched_for_an_hour(owner):
    erase(owner)
    repeat_purges()
    assert Erasure.objects.count() == 1
    assert "@" not in json.dumps(list(Erasure.objects.values("leftovers")), default=str)
    Erasure.objects.update(at=timezone.now() - timedelta(hours=2))
    repeat_purges()
    assert not Erasure.objects.exists()


def test_when_the_rows_cannot_be_deleted_nothing_is(owner, monkeypatch):
    theirs = everything_of(owner)
    monkeypatch.setattr(Person, "delete", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        erase(owner)
    assert missing_rows(owner) == []
    assert artifacts.path_of(settings.ARTIFACT_DIR, theirs.artifact.digest).exists()
    assert verify_chain() == []


def test_the_broker_may_be_away(owner, settings):
    everything_of(owner)
    url = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    streams.connection.cache_clear()
    erase(owner)
    assert not Person.objects.filter(pk=owner.pk).exists()
    settings.REDIS_URL = url
    streams.connection.cache_clear()
    repeat_purges()
    assert hits_in_broker("token") == []


def test_a_running_job_loses_its_lease(owner):
    everything_of(owner)
    job = Job.claim(Job.objects.get(state="queued", method="steer").pk, "worker")
    erase(owner)
    with pytest.raises(Exception, match="belongs to somebody else"):
        job.renew()


def test_deleting_asks_for_the_password_and_for_the_address(owner, client):
    everything_of(owner)
    Authenticator.objects.all().delete()  # the password alone signs in here
    client.post(reverse("account_login"), {"login": owner.email, "password": PASSWORD})
    page = reverse("account_delete")
    assert client.get(page).url.startswith(reverse("account_reauthenticate"))
    assert client.post(page, {"email": owner.email}).url == page
    client.get(page)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": page})
    assert Person.objects.filter(pk=owner.pk).exists()  # the early POST was not kept
    html = client.get(page).content.decode()
    assert "conversation" in html
    assert "acts of feedback" in html
    assert not re.search(r"replys|feedbacks|states</li>", html)  # the rows' own names, made plural by rule
    wrong = client.post(page, {"email": "somebody@example.org"})
    assert wrong.status_code == 400
    assert "not the address of this account" in wrong.content.decode()
    gone = client.post(page, {"email": owner.email.upper()}, follow=True)
    assert "Everything of yours was deleted" in gone.content.decode()
    assert not Person.objects.filter(pk=owner.pk).exists()
    assert client.get(reverse("account")).status_code == 302


def test_the_password_holds_for_five_minutes_only(owner, client, monkeypatch):
    client.post(reverse("account_login"), {"login": owner.email, "password": PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert client.get(reverse("account_delete")).status_code == 200
    session = client.session
    session["account_authentication_methods"] = [
        {**m, "at": m["at"] - 301} for m in session["account_authentication_methods"]
    ]
    session.save()
    assert client.get(reverse("account_delete")).status_code == 302


def test_other_sessions_of_the_person_end(owner, other):
    elsewhere = sign_in_with_words(owner, "x")
    unrelated = sign_in_with_words(other, "x")
    erase(owner)
    assert elsewhere.get(reverse("account")).status_code == 302
    assert unrelated.get(reverse("account")).status_code == 200
