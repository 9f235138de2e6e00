"""Where artifacts lie and what signs them. The only place of the web that knows the artifact store.

The store is the folder ARTIFACT_DIR, or a bucket (`remote.py`); then that folder is this host's cache of it.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from alignapp.adapters import cache, remote
from personalization import artifacts
from personalization.errors import ArtifactError

if TYPE_CHECKING:
    from uuid import UUID

    from alignapp.adapters.models import Artifact
    from alignapp.instant.models import InstantVector
    from alignapp.studies.models import RewardModel

    Kept = Artifact | InstantVector | RewardModel


def signing_key() -> bytes:
    """Return the key of every artifact's signature, derived from SECRET_KEY so that it is not the same."""
    return hmac.new(settings.SECRET_KEY.encode(), b"alignapp artifact signature v1", hashlib.sha256).digest()


@contextmanager
def learning_folder(job_id: UUID | None) -> Iterator[Path]:
    """Lend a job an empty folder on the store's own file system, so that sealing is a rename."""
    Path(settings.ARTIFACT_DIR).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=settings.ARTIFACT_DIR, prefix=f"learning-{job_id}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # where something failed: sealing takes it away itself


def seal(temporary: Path, *, owner: str, **described: Any) -> artifacts.Sealed:
    """Seal a finished folder into the store (`artifacts.seal` says how) and return it.

    Raises as that does, and StoreAway; then no row may name it.
    """
    folder = Path(settings.ARTIFACT_DIR)
    sealed = artifacts.seal(temporary, folder, owner=owner, key=signing_key(), **described)
    if remote.is_used():
        remote.publish(sealed.path, owner)
    return sealed


def folder_of(artifact: Kept) -> Path:
    """Return the folder of a sealed artifact on this host, fetched from the bucket where it is not here.

    Raises ArtifactError where a bucket does not hold it whole, and StoreAway.
    """
    place = artifacts.path_of(settings.ARTIFACT_DIR, artifact.digest)
    if remote.is_used() and not cache.touch(place):
        remote.fetch(place, str(artifact.person_id))
    return place


def check(artifact: Kept, *, model_revision: str | None = None) -> dict[str, object]:
    """Return the manifest of an untouched artifact, for this base model if one is named.

    Reads every byte of this host's copy; where that is damaged and there is a bucket, fetches it again.
    Raises ArtifactError and StoreAway.
    """
    try:
        return _verified(folder_of(artifact), artifact, model_revision)
    except ArtifactError:
        if not remote.is_used():
            raise
        cache.drop([artifact.digest])
        return _verified(folder_of(artifact), artifact, model_revision)


def check_stored(artifact: Kept) -> dict[str, object]:
    """Do `check` with what the store itself holds, whatever copies there are."""
    if not remote.is_used():
        return check(artifact)
    with remote.downloaded(artifact.digest, str(artifact.person_id)) as folder:
        return _verified(folder, artifact, None)


def discard(digest: str, owner: object) -> None:
    """Remove an artifact's files. What a bucket does not let go now, its nightly sweep removes."""
    artifacts.discard(artifacts.path_of(settings.ARTIFACT_DIR, digest))
    if remote.is_used():
        remote.delete_or_leave(digest, str(owner))


def checkpoint_folder(job_id: object) -> Path:
    """Return where a job keeps what it needs to go on."""
    return Path(settings.CHECKPOINT_DIR) / str(job_id)


def _verified(folder: Path, artifact: Kept, model_revision: str | None) -> dict[str, object]:
    return artifacts.verify(
        folder,
        owner=str(artifact.person_id),
        model_revision=model_revision or artifact.model_revision,
        key=signing_key(),
    )
