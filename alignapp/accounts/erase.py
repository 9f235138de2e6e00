"""Remove everything a person has here: rows, files, checkpoints, broker keys, cached adapters, sessions.

The rows go in one transaction, which also notes in an `Erasure` what lies outside of the database: ids
only. That is removed right after, and again by the sweeper until an hour has passed, because a worker
may just be writing another answer or sealing another artifact. What cannot be removed stays noted.
Audit events stay, masked: the chain must hold, and they carry the pseudonym only.
"""

from __future__ import annotations

import logging
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from alignapp.accounts.belongings import rows_of
from alignapp.accounts.models import Erasure, Person
from alignapp.accounts.wording import counted
from alignapp.adapters import evictions, remote, store
from alignapp.adapters.models import Alignment, Artifact, Job
from alignapp.annotation.services.projects import leave_everything
from alignapp.audit import services as audit
from alignapp.audit.models import AuditEvent
from alignapp.chat import streams
from alignapp.chat.models import Reply
from alignapp.exchange.models import Import
from alignapp.instant.models import InstantVector
from alignapp.studies.models import RewardModel
from personalization import artifacts

log = logging.getLogger(__name__)

# A worker that has not noticed by then has lost its lease long ago.
WATCHED = timedelta(hours=1)


def erase(person: Person) -> Erasure:
    """Delete the person and everything of theirs. When it raises, nothing was deleted.

    What could not be removed outside of the database is logged and tried again by `repeat_purges`.
    """
    pseudonym = person.pseudonym
    with transaction.atomic():
        erasure = Erasure.objects.create(person_id=person.pk, leftovers=_outside_of_the_database(person))
        _end_sessions(person)
        audit.record(person, audit.ERASED, person)
        audit.mask(person)
        leave_everything(person)
        Alignment.objects.filter(person=person).delete()  # it holds its version by RESTRICT
        person.delete()
    log.info("%s was erased", pseudonym)
    purge(erasure)
    _drop_history()
    return erasure


def what_goes(person: Person) -> list[tuple[str, int]]:
    """Return the person's kinds of rows, in words, with how many there are of each."""
    not_listed = (AuditEvent, Person)  # the one stays, masked; the other is obvious
    return [
        (counted(model, count), count)
        for model, rows in rows_of(person)
        if model not in not_listed and (count := rows.count())
    ]


def repeat_purges() -> None:
    """Remove again what belonged to people who left; forget an erasure once nothing can come back."""
    for erasure in Erasure.objects.all():
        if purge(erasure) and erasure.at < timezone.now() - WATCHED:
            _drop_history()
            erasure.delete()


def purge(erasure: Erasure) -> bool:
    """Remove what an erased person had outside of the database; return whether all of it is gone."""
    left = [*_remove_files(erasure), *_remove_broker_keys(erasure)]
    if left:
        log.error("erasure %s: %d things are left and tried again: %s", erasure.pk, len(left), left[:5])
    return not left


def _outside_of_the_database(person: Person) -> dict[str, list[str]]:
    replies = Reply.objects.for_person(person)
    return {
        "digests": [
            *Artifact.objects.for_person(person).values_list("digest", flat=True),
            *InstantVector.objects.for_person(person).values_list("digest", flat=True),
            *RewardModel.objects.for_person(person).values_list("digest", flat=True),
        ],
        "uploads": _ids(Import.objects.for_person(person)),
        "jobs": _ids(Job.objects.for_person(person)),
        "replies": _ids(replies),
        "open_replies": _ids(replies.exclude(status__in=Reply.ENDED)),
    }


def _ids(rows: QuerySet[Any]) -> list[str]:
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def _remove_files(erasure: Erasure) -> list[str]:
    folders = [artifacts.path_of(settings.ARTIFACT_DIR, digest) for digest in erasure.leftovers["digests"]]
    for job_id in erasure.leftovers["jobs"]:
        folders += [store.checkpoint_folder(job_id), *Path(settings.ARTIFACT_DIR).glob(f"learning-{job_id}*")]
    for import_id in erasure.leftovers.get("uploads", ()):
        (Path(settings.UPLOAD_DIR) / import_id).unlink(missing_ok=True)
    folders += _sealed_meanwhile(erasure)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return [*(folder.name for folder in folders if folder.exists()), *_remove_objects(erasure)]


def _remove_objects(erasure: Erasure) -> list[str]:
    """Remove what lies in the artifacts' bucket; whatever a worker uploaded meanwhile lies there, too."""
    if remote.is_used():
        try:
            remote.delete_all(str(erasure.person_id))
        except remote.StoreAway as error:
            return [f"the bucket's objects ({error})"]
    return []


def _sealed_meanwhile(erasure: Erasure) -> list[Path]:
    """Return the folders of artifacts that a worker finished while the rows were being deleted."""
    since = (erasure.at - timedelta(minutes=5)).timestamp()
    owner = f'"owner":"{erasure.person_id}"'
    found = []
    for manifest in Path(settings.ARTIFACT_DIR).glob(f"??/*/{artifacts.MANIFEST}"):
        try:
            if manifest.stat().st_mtime >= since and owner in manifest.read_text():
                found.append(manifest.parent)
        except OSError:  # somebody removed it meanwhile
            continue
    return found


def _remove_broker_keys(erasure: Erasure) -> list[str]:
    try:
        streams.delete(*erasure.leftovers["replies"])
        # The request to stop names only an id, and it expires; the worker may not have seen it yet.
        for reply_id in erasure.leftovers["open_replies"]:
            streams.request_cancel(reply_id)
        streams.delete(*streams.noted(erasure.person_id))
        buckets = [f"limit:{act}:{erasure.person_id}" for act in ("replies", "operate", "judge")]
        streams.connection().delete(*buckets, f"streams:of:{erasure.person_id}")
        evictions.announce(*erasure.leftovers["digests"], str(erasure.person_id))
    except redis.RedisError as error:
        return [f"the broker's keys ({error})"]
    return []


def _drop_history() -> None:
    """Let the logs that SQLite and the broker write ahead lose what was deleted; both keep it otherwise."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    try:
        streams.connection().bgrewriteaof()
    except redis.RedisError as error:  # not ours to decide on a broker that others run
        log.info("the broker keeps its log: %s", error)


def _end_sessions(person: Person) -> None:
    # A session's person is inside its signed data, so every session has to be read.
    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == str(person.pk):
            session.delete()
