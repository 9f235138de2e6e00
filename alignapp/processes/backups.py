"""Back everything up while it runs, into one folder that proves itself, and bring it back.

A backup is the database, the artifact store, the value directions and (where it lies in `var/`) the secret
key, with a manifest of sha256 sums. The database comes first and artifacts never change, so that every
artifact that its rows name is in the copy, unless its person deleted it meanwhile. Broker and checkpoints
are not in it: rows say what there is to do. Whoever left after the backup is erased again when it is brought
back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from alignapp.accounts.erase import erase
from alignapp.accounts.models import Person
from alignapp.adapters import remote
from alignapp.audit.models import AuditEvent
from alignapp.audit.services import ERASED, record
from alignapp.processes.tidying import named_by_rows
from personalization.errors import AlignError

MANIFEST = "backup.json"
FOLDERS = {"artifacts": "ARTIFACT_DIR", "values": "VALUES_DIR"}
SECRET = "secret_key"  # noqa: S105 - a file's name
READ_BYTES = 1 << 20


def back_up(folder: Path, *, now: datetime | None = None) -> dict[str, Any]:
    """Write a backup into a new folder and return its manifest. Raises AlignError when it cannot be whole."""
    if folder.exists():
        raise AlignError(f"{folder} exists already. Name a folder that does not.")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    database = _dump(unfinished)
    for name, setting in FOLDERS.items():
        source = Path(getattr(settings, setting))
        if _is_bucket(name):
            remote.copy_to(unfinished / name, named_by_rows())
        elif source.is_dir():
            _copy(source, unfinished / name)
    if (settings.VAR_DIR / SECRET).exists() and "ALIGN_SECRET_KEY" not in os.environ:
        shutil.copy2(settings.VAR_DIR / SECRET, unfinished / SECRET)
    manifest = {
        "at": (now or timezone.now()).isoformat(),
        "database": database,
        "migrations": _migrations(),
        "files": {str(p.relative_to(unfinished)): _sha256(p) for p in _files(unfinished)},
    }
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1))
    unfinished.rename(folder)
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """Return the manifest of a whole backup. Raises AlignError that names the first file that differs."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        raise AlignError(f"{folder} is no backup: it has no readable {MANIFEST}.") from None
    found = {str(p.relative_to(folder)) for p in _files(folder)} - {MANIFEST}
    if missing := sorted(set(manifest["files"]) - found):
        raise AlignError(f"{len(missing)} files of the backup are missing, {missing[0]} first.")
    if foreign := sorted(found - set(manifest["files"])):
        raise AlignError(f"{len(foreign)} files do not belong to the backup, {foreign[0]} first.")
    for name, digest in manifest["files"].items():
        if _sha256(folder / name) != digest:
            raise AlignError(f"{name} is not what was backed up.")
    return manifest


def restore(folder: Path) -> dict[str, Any]:
    """Replace database and artifacts with a backup's, and erase whoever left since. Web and workers.

    Raises AlignError, and then nothing was replaced, unless it says so.
    """
    manifest = verify(folder)
    if manifest["database"] != connection.vendor:
        raise AlignError(
            f"This is a backup of {manifest['database']}, and DATABASE_URL names {connection.vendor}."
        )
    left = _erased()
    _load(folder)
    for name, setting in FOLDERS.items():
        target = Path(getattr(settings, setting))
        if _is_bucket(name):
            remote.copy_from(folder / name)
        elif (folder / name).is_dir():
            shutil.rmtree(target, ignore_errors=True)
            _copy(folder / name, target)
    if (folder / SECRET).exists():
        shutil.copy2(folder / SECRET, settings.VAR_DIR / SECRET)
        if "ALIGN_SECRET_KEY" not in os.environ:  # what is put on record now is signed by the restored key
            settings.SECRET_KEY = (settings.VAR_DIR / SECRET).read_text().strip()
    call_command("migrate", verbosity=0, interactive=False)
    manifest["erased_again"] = _erase_again(left)
    _note(manifest)
    return manifest


def _is_bucket(name: str) -> bool:
    return name == remote.ALIAS and remote.is_used()


def _dump(folder: Path) -> str:
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        target = sqlite3.connect(folder / "database.sqlite3")
        with target:
            connection.connection.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # one file: a reader makes no others beside it
        target.close()
        return "sqlite"
    command = ["pg_dump", "--format=custom", "--no-owner", f"--file={folder / 'database.dump'}"]
    _run(command, "pg_dump")
    return "postgresql"


def _load(folder: Path) -> None:
    if connection.vendor == "sqlite":
        # Immutable: what an earlier version of the program backed up would get files beside it otherwise.
        source = sqlite3.connect(f"file:{folder / 'database.sqlite3'}?mode=ro&immutable=1", uri=True)
        connection.ensure_connection()
        source.backup(connection.connection)
        source.close()
    else:
        connections.close_all()
        options = ["--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error"]
        database = f"--dbname={connection.settings_dict['NAME']}"
        _run(["pg_restore", *options, database, str(folder / "database.dump")], "pg_restore")


def _run(command: list[str], name: str) -> None:
    if shutil.which(name) is None:
        raise AlignError(f"{name} is not installed; it comes with PostgreSQL's client (apt-get install).")
    given = connection.settings_dict
    keys = {
        "PGHOST": "HOST",
        "PGPORT": "PORT",
        "PGUSER": "USER",
        "PGPASSWORD": "PASSWORD",
        "PGDATABASE": "NAME",
    }
    environment = {**os.environ, **{key: str(given[name]) for key, name in keys.items() if given[name]}}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AlignError(f"{name} failed: {done.stderr.strip().splitlines()[-1]}")


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; what somebody deletes meanwhile is left out, and what is not sealed yet."""

    def keep(source_file: str, target_file: str) -> None:
        try:
            shutil.copy2(source_file, target_file)
        except FileNotFoundError:
            return

    unsealed = shutil.ignore_patterns("learning-*", "instant-*")
    shutil.copytree(source, target, copy_function=keep, ignore=unsealed, dirs_exist_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _migrations() -> list[str]:
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def _erased() -> list[str]:
    """Return the pseudonyms of everybody who left, as far as the database of now can still be read."""
    try:
        return list(AuditEvent.objects.filter(verb=ERASED).values_list("subject_label", flat=True))
    except DatabaseError:
        return []


def _erase_again(left: list[str]) -> int:
    back = list(Person.objects.filter(pseudonym__in=left))
    for person in back:
        erase(person)
    return len(back)


def _note(manifest: dict[str, Any]) -> None:
    evidence = {"backup_of": manifest["at"], "erased_again": manifest["erased_again"]}
    record(None, "backup.restored", None, **evidence)
