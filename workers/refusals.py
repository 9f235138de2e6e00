"""Verify the artifacts of a reply before the engine reads them; each folder once in a process.

Knows nothing of generation. An artifact that was changed, is somebody else's, was deleted or put into
quarantine is refused, and the refusal is written into the audit chain.
"""

from __future__ import annotations

import threading
from pathlib import Path

from django.conf import settings

from alignapp.adapters.models import Artifact
from alignapp.adapters.store import signing_key
from alignapp.audit.services import record
from alignapp.chat.models import Reply
from personalization import artifacts
from personalization.engine.requests import Intervention
from personalization.errors import ArtifactError

_verified: set[tuple[str, str, str]] = set()  # digest, owner, model revision
_lock = threading.Lock()


def interventions_of(reply: Reply, *, model_revision: str) -> tuple[Intervention, ...]:
    """Return what acts on this reply. Raises ArtifactError after writing it into the audit chain."""
    person_id = reply.turn.conversation.person_id
    rows = Artifact.objects.filter(
        person_id=person_id, id__in=[part["artifact"] for part in reply.interventions]
    ).in_bulk()
    found = []
    for part in reply.interventions:
        artifact = next((row for row in rows.values() if str(row.id) == part["artifact"]), None)
        try:
            path = _checked(artifact, part["digest"], str(person_id), model_revision)
        except ArtifactError as error:
            record("worker", "artifact.refused", artifact or reply, reason=str(error), digest=part["digest"])
            raise
        found.append(Intervention(part["kind"], path, part["digest"], float(part["strength"])))
    return tuple(found)


def _checked(artifact: Artifact | None, digest: str, owner: str, model_revision: str) -> Path:
    if artifact is None or artifact.digest != digest:
        raise ArtifactError("What this answer was to be shaped by was deleted. Ask again without it.")
    if artifact.state == Artifact.State.QUARANTINED:
        raise ArtifactError(f"{artifact} is in quarantine. Switch it off, then ask again.")
    path = artifacts.path_of(settings.ARTIFACT_DIR, digest)
    key = (digest, owner, model_revision)
    with _lock:
        known = key in _verified
    if not (known and path.is_dir()):
        artifacts.verify(path, owner=owner, model_revision=model_revision, key=signing_key())
        with _lock:
            _verified.add(key)
    return path
