"""Artifacts in a bucket, on a real S3 server on the loopback: whole or not there, and gone for good."""

from __future__ import annotations

import logging
import os
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from django.conf import settings
from django.core.files.storage import storages
from django.core.management import call_command
from django.urls import reverse
from moto.server import ThreadedMotoServer

from alignapp.accounts.consent import give_consent
from alignapp.accounts.erase import erase, repeat_purges
from alignapp.accounts.export import export
from alignapp.accounts.models import Erasure, Person
from alignapp.adapters import acts, cache, remote, store
from alignapp.adapters.evictions import Evictions
from alignapp.adapters.models import Artifact
from alignapp.adapters.removal import remove
from alignapp.audit.models import AuditEvent
from alignapp.buckets import bucket_storage
from alignapp.chat import streams
from alignapp.feedback.services import record_feedback
from alignapp.instant import services
from alignapp.instant.models import InstantVector
from alignapp.processes import tidying
from personalization import artifacts
from personalization.errors import ArtifactError
from tests.ports import free_port
from tests.web import learned
from tests.web.everything import everything_of
from tests.web.rows import answered_turn, conversation_of, states_of
from workers import queues
from workers.tasks.instant import follow_ratings

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server, on the loopback."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    running.start()
    yield f"http://127.0.0.1:{running._server.server_port}"
    running.stop()


@pytest.fixture
def on_commit(django_capture_on_commit_callbacks):
    """Do what waits for the end of a transaction, which this test's own never reaches."""
    return django_capture_on_commit_callbacks


@pytest.fixture
def bucket(server, settings, tmp_path):
    """An empty bucket as the store of this test, and boto3's own view of it."""
    name = tmp_path.name.replace("_", "-").lower().strip("-")
    where = {"endpoint": server, "region": "us-east-1", "key": "k", "secret": "s"}
    settings.STORAGES = {**settings.STORAGES, "artifacts": bucket_storage(f"{name}/align", **where)}
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "cache", tmp_path / "checkpoints"
    made = boto3.resource(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    ).create_bucket(Bucket=name)
    yield made
    made.objects.all().delete()
    made.delete()


def keys(bucket) -> list[str]:
    return sorted(each.key.removeprefix("align/") for each in bucket.objects.all())


def published(person: Person, **how) -> Artifact:
    """Return an artifact that a worker sealed into the bucket."""
    made = learned.artifact(person, **how)
    remote.publish(artifacts.path_of(_cache(), made.digest), str(person.pk))
    return made


def _cache() -> Path:
    return Path(settings.ARTIFACT_DIR)


def elsewhere(settings, tmp_path, name: str = "another-host") -> None:
    """Go on as on a host that has no copy yet."""
    settings.ARTIFACT_DIR = tmp_path / name


def copies() -> list[str]:
    return [path.name for path in _cache().glob("??/*")]


def test_a_rating_waits_for_no_bucket_and_a_worker_seals_what_it_says(owner, bucket, on_commit):
    give_consent(owner)
    turn, replies = answered_turn(conversation_of(owner), "one", "two")
    states_of(replies)
    with on_commit(execute=True):
        for reply, score in zip(replies, (90, 10), strict=True):
            record_feedback(owner, turn, "rating", reply=reply, score=score)
    assert (keys(bucket), services.current(owner)) == ([], None)
    assert streams.connection().llen(queues.HOUSEKEEPING) == 2
    for _ in range(2):
        follow_ratings(str(owner.pk))
    vector = InstantVector.objects.get()
    assert (vector.ratings, vector.is_current) == (2, True)
    assert {key.split("/")[1] for key in keys(bucket)} == {vector.digest}
    follow_ratings(str(uuid.uuid4()))  # somebody who left meanwhile


def test_what_one_host_sealed_another_fetches_and_verifies(owner, bucket, settings, tmp_path):
    (tmp_path / "learning").mkdir()
    (tmp_path / "learning" / "adapter_model.safetensors").write_bytes(bytes(1000))
    sealed = store.seal(
        tmp_path / "learning", owner=str(owner.pk), kind="adapter", model_revision="smol@1", method="dpo",
        parameters={}, records=["a"], metrics={},
    )  # fmt: skip
    prefix = f"{owner.pk}/{sealed.digest}"
    assert keys(bucket) == [f"{prefix}/adapter_model.safetensors", f"{prefix}/manifest.json"]
    elsewhere(settings, tmp_path)
    vector = InstantVector(person=owner, digest=sealed.digest, model_revision="smol@1")
    assert store.check(vector) == sealed.manifest
    assert copies() == [sealed.digest]
    remote.fetch(store.folder_of(vector), str(owner.pk))  # as another process does at the same time
    assert [path.name for path in _cache().iterdir()] == [sealed.digest[:2]]
    bucket.objects.all().delete()
    assert store.check(vector)  # from the copy


def test_half_an_upload_is_not_seen_and_is_swept(owner, other, bucket, settings, tmp_path, monkeypatch):
    whole = published(owner)
    half = learned.artifact(other)
    place = store.folder_of(half)
    real = storages["artifacts"].save

    def cut_off(name, content):
        if name.endswith(artifacts.MANIFEST):
            raise KeyboardInterrupt
        return real(name, content)

    with monkeypatch.context() as broken:
        broken.setattr(storages["artifacts"], "save", cut_off)
        with pytest.raises(KeyboardInterrupt):
            remote.publish(place, str(other.pk))
    Artifact.objects.filter(pk=half.pk).delete()  # its row was never written
    elsewhere(settings, tmp_path)
    with pytest.raises(ArtifactError, match="not in the store"):
        store.folder_of(half)
    assert list(_cache().iterdir()) == []  # nothing half is left
    assert tidying.sweep_bucket() == 0  # too young: it may be on its way
    monkeypatch.setattr(tidying, "ORPHANED_AFTER", timedelta(0))
    assert tidying.sweep_bucket() == 1
    assert {key.split("/")[1] for key in keys(bucket)} == {whole.digest}


def test_a_download_that_is_cut_off_or_changed_leaves_no_copy(owner, bucket, settings, tmp_path, monkeypatch):
    artifact = published(owner)
    elsewhere(settings, tmp_path)
    weights = next(each for each in bucket.objects.all() if each.key.endswith("safetensors"))
    body = weights.get()["Body"].read()
    bucket.put_object(Key=weights.key, Body=body[:-1] + b"x")
    with pytest.raises(ArtifactError, match="were changed"):
        store.folder_of(artifact)
    assert copies() == []
    assert "were changed" in acts.verify(artifact)
    weights.delete()
    with pytest.raises(ArtifactError, match="not whole"):
        store.folder_of(artifact)
    bucket.put_object(Key=weights.key, Body=body)
    assert acts.verify(artifact) == ""
    manifest = next(each for each in bucket.objects.all() if each.key.endswith(artifacts.MANIFEST))
    bucket.put_object(Key=manifest.key, Body=b'{"files": {"../../outside": "x"}}')
    with pytest.raises(ArtifactError, match="elsewhere"):
        store.folder_of(artifact)
    assert not list(tmp_path.rglob("outside"))


def test_a_copy_that_is_damaged_is_fetched_again_and_verifying_reads_the_bucket(owner, bucket):
    artifact = published(owner)
    (store.folder_of(artifact) / "adapter_model.safetensors").write_bytes(b"torn")
    assert acts.verify(artifact) == ""  # the store is whole
    assert store.check(artifact)
    assert (store.folder_of(artifact) / "adapter_model.safetensors").read_bytes() != b"torn"


def test_a_bucket_that_is_away_damages_nothing_and_pages_say_so(
    owner, bucket, client_of, settings, on_commit
):
    artifact = published(owner)
    cache.drop([artifact.digest])
    where = {"endpoint": f"http://127.0.0.1:{free_port()}", "region": "x", "key": "k", "secret": "s"}
    settings.STORAGES = {**settings.STORAGES, "artifacts": bucket_storage("nowhere", **where)}
    storages["artifacts"].client_config.retries = {"max_attempts": 0}
    with pytest.raises(remote.StoreAway):
        acts.verify(artifact)
    artifact.refresh_from_db()
    assert artifact.damage == ""
    page = client_of(owner).get(reverse("adapters:download", args=[artifact.pk]))
    assert (page.status_code, page["Retry-After"]) == (503, "10")
    with on_commit(execute=True):
        remove(owner, artifact)  # the row goes all the same; the nightly sweep takes the objects
    assert not Artifact.objects.exists()


def test_deleting_and_erasing_empty_bucket_and_caches(owner, other, bucket, settings, tmp_path, on_commit):
    theirs = everything_of(owner)
    remote.publish(artifacts.path_of(_cache(), theirs.artifact.digest), str(owner.pk))
    kept = published(other)
    assert {key.split("/")[0] for key in keys(bucket)} == {str(owner.pk), str(other.pk)}
    second = published(owner, method="steer")
    with on_commit(execute=True):
        remove(owner, second)
    assert second.digest not in "".join(keys(bucket))
    shutil.copytree(_cache(), tmp_path / "another-host")
    gone = owner.pk
    erase(owner)
    bucket.put_object(Key=f"align/{gone}/{'0' * 64}/weights", Body=b"sealed meanwhile")
    repeat_purges()
    assert {key.split("/")[0] for key in keys(bucket)} == {str(other.pk)}
    assert copies() == [kept.digest]
    elsewhere(settings, tmp_path)  # hears of it
    cache.drop(Evictions().new())
    assert copies() == [kept.digest]


def test_an_erasure_waits_for_a_bucket_that_is_away(owner, bucket, monkeypatch):
    published(owner)
    with monkeypatch.context() as broken:
        broken.setattr(remote, "delete_all", lambda _owner: (_ for _ in ()).throw(remote.StoreAway("away")))
        erase(owner)
        Erasure.objects.update(at="2026-01-01T00:00:00Z")
        repeat_purges()
        assert Erasure.objects.count() == 1
    repeat_purges()
    assert (keys(bucket), Erasure.objects.count()) == ([], 0)


def test_the_cache_keeps_to_its_size_and_to_what_rows_name(owner, other, bucket, settings):
    old, new, nameless = published(owner), published(owner), published(other)
    nameless.delete()
    for artifact, hours in ((old, 5), (new, 2), (nameless, 1)):
        at = time.time() - hours * 3600
        os.utime(artifacts.path_of(settings.ARTIFACT_DIR, artifact.digest), (at, at))
    tidying.tidy()
    assert sorted(copies()) == sorted([old.digest, new.digest])
    settings.ARTIFACT_CACHE_BYTES = new.size_bytes
    tidying.tidy()
    assert copies() == [new.digest]
    assert store.check(old)  # it comes back
    settings.ARTIFACT_CACHE_BYTES = 0
    tidying.tidy()
    assert copies() == [old.digest]  # just used


def test_without_a_bucket_nothing_is_tidied(owner, settings, tmp_path):
    settings.ARTIFACT_DIR, settings.ARTIFACT_CACHE_BYTES = tmp_path, 0
    artifact = learned.artifact(owner)
    os.utime(store.folder_of(artifact), (0, 0))
    artifact.delete()
    tidying.tidy()
    assert tidying.sweep_bucket() == 0
    assert store.folder_of(artifact).is_dir()


def test_an_export_holds_the_files_and_names_what_is_missing(owner, bucket, settings, tmp_path):
    published(owner)
    lost = published(owner, method="steer")
    remote.delete(lost.digest, str(owner.pk))
    elsewhere(settings, tmp_path)
    with zipfile.ZipFile(export(owner)) as archive:
        names = archive.namelist()
        assert "artifacts/adapter-v1/adapter_model.safetensors" in names
        assert "could not be found" in archive.read("README.txt").decode()


def test_the_manifest_comes_last_and_goes_first(owner, bucket, monkeypatch):
    artifact, order = learned.artifact(owner), []
    for verb in ("save", "delete"):
        real = getattr(storages["artifacts"], verb)
        noted = lambda name, *rest, real=real: (order.append(name.rpartition("/")[2]), real(name, *rest))  # noqa: E731
        monkeypatch.setattr(storages["artifacts"], verb, noted)
    remote.publish(artifacts.path_of(_cache(), artifact.digest), str(owner.pk))
    remote.delete(artifact.digest, str(owner.pk))
    weights = "adapter_model.safetensors"
    assert order == [weights, artifacts.MANIFEST, artifacts.MANIFEST, weights]


@pytest.mark.django_db(transaction=True)
def test_a_backup_brings_the_bucket_back(owner, bucket, settings, tmp_path):
    settings.VALUES_DIR = tmp_path / "values"
    kept = published(owner)
    before = keys(bucket)
    call_command("backup", str(tmp_path / "kept"))
    later = published(owner)
    remote.delete(kept.digest, str(owner.pk))
    cache.drop([kept.digest])
    call_command("restore", str(tmp_path / "kept"), replace="kept")
    assert keys(bucket) == before
    assert store.check(Artifact.objects.get())
    assert later.digest not in "".join(keys(bucket))
    assert AuditEvent.objects.filter(verb="backup.restored").exists()


@pytest.mark.django_db(transaction=True)
def test_a_folder_moves_into_a_bucket_by_backup_and_restore(owner, bucket, settings, tmp_path):
    settings.VALUES_DIR, with_bucket = tmp_path / "values", settings.STORAGES
    settings.STORAGES = {name: value for name, value in with_bucket.items() if name != remote.ALIAS}
    artifact = learned.artifact(owner)
    call_command("backup", str(tmp_path / "kept"))
    settings.STORAGES = with_bucket
    elsewhere(settings, tmp_path)
    call_command("restore", str(tmp_path / "kept"), replace="kept")
    assert store.check(Artifact.objects.get(pk=artifact.pk))
    assert len(keys(bucket)) == 2
