"""Verify the artifacts of a reply before the engine reads them; each folder once in a process.

Knows nothing of generation. An artifact that was changed, is somebody else's, was deleted, put into
quarantine or never tested for safety is refused, and the refusal is written into the audit chain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from alignapp.adapters import store
from alignapp.adapters.models import Artifact
from alignapp.audit.services import record
from alignapp.chat.models import Reply
from alignapp.instant.models import InstantVector
from alignapp.instant.services import METHOD
from personalization.engine.requests import Intervention
from personalization.errors import ArtifactError
from workers import instant

_verified: set[tuple[str, str, str]] = set()  # digest, owner, model revision
_lock = threading.Lock()


def interventions_of(
    reply: Reply, *, model_revision: str, tick: Callable[[], None]
) -> tuple[Intervention, ...]:
    """Return what acts on this reply. Raises ArtifactError after writing it into the audit chain.

    Whatever the person or a client asks for, each part acts as far as the safety gate let it, and the reply
    says how far. A vector from ratings that nobody asked the gate about waits for it, and `tick` is called
    meanwhile; one that it refuses is taken out of the reply, which is then made without it.
    """
    person_id = reply.turn.conversation.person_id
    found = []
    for part in list(reply.interventions):
        model = InstantVector if part["kind"] == METHOD else Artifact
        row = model.objects.filter(person_id=person_id, id=part["artifact"]).first()
        try:
            path = checked(row, part["digest"], str(person_id), model_revision)
        except ArtifactError as error:
            record("worker", "artifact.refused", row or reply, reason=str(error), digest=part["digest"])
            raise
        assert row is not None
        strength = float(part["strength"])
        limit = (
            instant.limit_of(row, path, tick=tick) if isinstance(row, InstantVector) else row.most_strength
        )
        if limit < strength:
            strength = limit
            reply.weaken(part, strength)
        if strength > 0:
            found.append(
                Intervention(
                    "vector" if part["kind"] == METHOD else part["kind"], path, part["digest"], strength
                )
            )
    return tuple(found)


def checked(artifact: Artifact | InstantVector | None, digest: str, owner: str, model_revision: str) -> Path:
    """Return the verified folder of what may act now. Raises ArtifactError for what may not, or is gone."""
    if artifact is None or artifact.digest != digest:
        raise ArtifactError("What this answer was to be shaped by was deleted. Ask again without it.")
    if isinstance(artifact, Artifact) and artifact.state == Artifact.State.QUARANTINED:
        raise ArtifactError(f"{artifact} is in quarantine. Switch it off, then ask again.")
    if isinstance(artifact, Artifact) and artifact.state == Artifact.State.EXPIRED:
        raise ArtifactError(f"{artifact} has expired. Switch it off, then ask again.")
    if isinstance(artifact, Artifact) and not artifact.passed_gate:
        raise ArtifactError(f"{artifact} was not tested for safety. Switch it off, then ask again.")
    path = store.folder_of(artifact)
    key = (digest, owner, model_revision)
    with _lock:
        known = key in _verified
    if not (known and path.is_dir()):
        store.check(artifact, model_revision=model_revision)
        with _lock:
            _verified.add(key)
    return path
