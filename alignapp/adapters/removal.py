"""Delete an artifact for good: what that takes with it, and the act itself.

Knows nothing of pages. Replies that the artifact shaped keep their text; they name a digest that no
file answers to any more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import redis
from django.db import transaction
from django.utils import timezone

from alignapp.adapters import evictions, services, store
from alignapp.adapters.models import AlignmentVersion, Artifact
from alignapp.audit.models import AuditEvent
from alignapp.audit.services import record
from alignapp.chat.models import Reply

if TYPE_CHECKING:
    from uuid import UUID

    from alignapp.accounts.models import Person

log = logging.getLogger(__name__)
TAKEN_BACK = "merge.taken_back"  # the verb: others took back what a person was given
TOLD_FOR = timedelta(days=30)
MOST = 20  # that one act takes back from a person


@dataclass(frozen=True, slots=True)
class Consequences:
    """What goes with an artifact."""

    is_on: bool
    replies: int  # that it shaped
    versions: int  # of the alignment that name it
    size_bytes: int


def consequences(artifact: Artifact) -> Consequences:
    """Count what deleting an artifact changes. Three queries."""
    current = services.current_alignment(artifact.person)
    naming = AlignmentVersion.objects.for_person(artifact.person).filter(**{artifact.kind: artifact})
    return Consequences(
        is_on=getattr(current, f"{artifact.kind}_id", None) == artifact.pk,
        replies=Reply.objects.filter(alignment_version__in=naming).count(),
        versions=naming.count(),
        size_bytes=artifact.size_bytes,
    )


def remove(person: Person, artifact: Artifact, *, by: Person | str | None = None) -> AlignmentVersion | None:
    """Switch an artifact off where it is on, delete its row and report card, then files and memory.

    `by` is who does it where it is not the person. Return what acts since, where it was on. Raises
    SwitchedMeanwhile; then nothing is deleted.
    """
    version = None
    with transaction.atomic():
        if consequences(artifact).is_on:
            version = services.switch(
                person, change=f"Switched off {artifact}, deleted", by=by, **{artifact.kind: None}
            )
        record(by or person, "artifact.deleted", artifact, kind=artifact.kind, digest=artifact.digest)
        artifact.delete()
        transaction.on_commit(partial(discard, artifact.digest, artifact.person_id))
    return version


def taken_back(person: Person, version: AlignmentVersion | None) -> AuditEvent | None:
    """Return why something that the person was given acts no more, until they switch anything. One query.

    `version` is what acts now.
    """
    if version is None:
        return None
    lately = timezone.now() - TOLD_FOR
    events = AuditEvent.objects.filter(subject=person, verb=TAKEN_BACK, at__gt=lately).order_by("-id")[:MOST]
    return next((one for one in events if one.evidence.get("switched_off") == str(version.pk)), None)


def discard(digest: str, owner: UUID) -> None:
    """Remove the files of an artifact whose row is gone, and what engines keep of it."""
    store.discard(digest, owner)
    try:
        evictions.announce(digest)
    except redis.RedisError as error:
        log.warning("broker unreachable, engines keep %s in memory: %s", digest[:12], error)
