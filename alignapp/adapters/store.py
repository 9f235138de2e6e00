"""Where artifacts lie and what signs them. The only place of the web that knows the artifact store."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from personalization import artifacts

if TYPE_CHECKING:
    from alignapp.adapters.models import Artifact
    from alignapp.instant.models import InstantVector


def signing_key() -> bytes:
    """Return the key of every artifact's signature, derived from SECRET_KEY so that it is not the same."""
    return hmac.new(settings.SECRET_KEY.encode(), b"alignapp artifact signature v1", hashlib.sha256).digest()


def folder_of(artifact: Artifact | InstantVector) -> Path:
    """Return the folder of a sealed artifact."""
    return artifacts.path_of(settings.ARTIFACT_DIR, artifact.digest)


def check(artifact: Artifact | InstantVector) -> dict[str, object]:
    """Return the manifest of an untouched artifact. Reads every byte; raises ArtifactError."""
    return artifacts.verify(
        folder_of(artifact),
        owner=str(artifact.person_id),
        model_revision=artifact.model_revision,
        key=signing_key(),
    )


def discard(artifact: Artifact) -> None:
    """Remove an artifact's files."""
    artifacts.discard(folder_of(artifact))


def checkpoint_folder(job_id: object) -> Path:
    """Return where a job keeps what it needs to go on."""
    return Path(settings.CHECKPOINT_DIR) / str(job_id)
