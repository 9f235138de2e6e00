"""A backup proves itself, comes back as it was, and does not bring back who left."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from alignapp.accounts.belongings import personal_models
from alignapp.accounts.erase import erase
from alignapp.accounts.models import Person
from alignapp.adapters import store
from alignapp.adapters.models import Artifact
from alignapp.audit.chain import verify_chain
from alignapp.panel.models import Worker
from alignapp.processes import backups
from personalization.errors import AlignError
from tests.web.everything import everything_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rows(owner, settings, tmp_path):
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"
    settings.VALUES_DIR = tmp_path / "values"
    return everything_of(owner)


def everything() -> dict[str, list[dict]]:
    return {m._meta.label: list(m._base_manager.order_by("pk").values()) for m in personal_models()}


def test_what_is_restored_is_what_was_backed_up(rows, owner, other, tmp_path):
    before = everything()
    call_command("backup", str(tmp_path / "kept"))
    left = other.pseudonym
    erase(other)
    Person.objects.filter(pk=owner.pk).update(is_active=False)
    rows.conversation.delete()
    store.discard(rows.artifact.digest, owner.pk)
    newcomer = Person.objects.create_user("new@example.org")

    with pytest.raises(CommandError, match="--replace kept"):
        call_command("restore", str(tmp_path / "kept"))
    call_command("restore", str(tmp_path / "kept"), replace="kept")

    after = everything()
    assert after.pop("audit.AuditEvent")[: len(before["audit.AuditEvent"])] == before.pop("audit.AuditEvent")
    people = before["accounts.Person"]
    before["accounts.Person"] = [each for each in people if each["pseudonym"] != left]  # who left stays away
    assert len(before["accounts.Person"]) == len(people) - 1
    assert after == before
    assert not Person.objects.filter(pk=newcomer.pk).exists()
    assert store.check(Artifact.objects.get(pk=rows.artifact.pk))
    assert verify_chain() == []


def test_a_backup_is_the_same_after_it_was_brought_back(rows, tmp_path):
    folder = tmp_path / "kept"
    backups.back_up(folder)
    before = sorted(path.name for path in folder.iterdir())
    backups.restore(folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    backups.restore(folder)  # a second time, say on another host


def test_on_a_fresh_host_the_restored_key_signs_what_is_done_next(rows, settings, tmp_path, monkeypatch):
    monkeypatch.delenv("ALIGN_SECRET_KEY", raising=False)
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir()
    (settings.VAR_DIR / "secret_key").write_text(settings.SECRET_KEY)
    old = settings.SECRET_KEY
    backups.back_up(tmp_path / "kept")
    settings.SECRET_KEY = "made at the first start of the new host"
    (settings.VAR_DIR / "secret_key").write_text(settings.SECRET_KEY)
    backups.restore(tmp_path / "kept")
    assert old == settings.SECRET_KEY
    assert verify_chain() == []
    assert store.check(Artifact.objects.get(pk=rows.artifact.pk))


def test_a_backup_that_was_touched_is_refused_and_nothing_is_replaced(rows, owner, tmp_path):
    folder = tmp_path / "kept"
    backups.back_up(folder)
    victim = next(path for path in (folder / "artifacts").rglob("*.safetensors"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + b"x")
    with pytest.raises(AlignError, match="is not what was backed up"):
        backups.restore(folder)
    victim.unlink()
    with pytest.raises(AlignError, match="are missing"):
        backups.restore(folder)
    victim.write_bytes(whole)
    (folder / "more").write_text("x")
    with pytest.raises(AlignError, match="do not belong"):
        backups.restore(folder)
    assert Person.objects.filter(pk=owner.pk).exists()


def test_nothing_is_restored_under_running_workers_or_over_an_older_backup(rows, tmp_path):
    backups.back_up(tmp_path / "kept")
    with pytest.raises(AlignError, match="exists already"):
        backups.back_up(tmp_path / "kept")
    Worker.beat("training@here", queues=["train"], pid=1, started_at=rows.job.created_at)
    with pytest.raises(CommandError, match="Workers are running"):
        call_command("restore", str(tmp_path / "kept"), replace="kept")
    assert connection.vendor in ("sqlite", "postgresql")


def test_workers_of_the_host_that_was_lost_do_not_live_on_the_new_one(rows, tmp_path):
    Worker.beat("training@lost", queues=["train"], pid=1, started_at=timezone.now())
    call_command("backup", str(tmp_path / "kept"))
    Worker.objects.all().delete()
    for _ in range(2):
        call_command("restore", str(tmp_path / "kept"), replace="kept")
        assert not Worker.objects.exists()
