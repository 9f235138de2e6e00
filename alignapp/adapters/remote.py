"""The artifact store in an S3-compatible bucket, through django-storages (`STORAGES["artifacts"]`).

An artifact's objects lie under `<owner>/<digest>/`, so that all of a person's are found by one listing. The
manifest is written last and removed first: what has none is not there, so that nobody ever sees half an
adapter. Knows nothing of rows; digests, not the bucket, say what is whole.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages

from personalization import artifacts
from personalization.artifacts import MANIFEST
from personalization.errors import AlignError, ArtifactError

log = logging.getLogger(__name__)

ALIAS = "artifacts"


class StoreAway(AlignError, OSError):
    """The bucket does not answer, or not as it should; nothing is wrong with the artifact."""

    retryable = True


def is_used() -> bool:
    """Say whether artifacts lie in a bucket."""
    return ALIAS in settings.STORAGES


def publish(folder: Path, owner: str) -> None:
    """Upload a sealed folder, its manifest last. What is there already is written again. Raises StoreAway."""
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
    with _reaching():
        for name in (*names, MANIFEST):
            with (folder / name).open("rb") as file:
                _bucket().save(f"{owner}/{folder.name}/{name}", File(file))


def fetch(place: Path, owner: str) -> None:
    """Download an artifact to its place in this host's cache. Raises as `downloaded` does.

    The place has nothing or the whole; of two processes that fetch the same, one is in time.
    """
    with downloaded(place.name, owner) as folder:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(place)
        except OSError:
            if not place.is_dir():
                raise


@contextmanager
def downloaded(digest: str, owner: str) -> Iterator[Path]:
    """Lend a temporary folder with an artifact, whose contents are those that its digest names.

    Raises ArtifactError where it is not whole in the bucket, and StoreAway.
    """
    Path(settings.ARTIFACT_DIR).mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=settings.ARTIFACT_DIR, prefix="fetching-"))
    try:
        folder = temporary / digest
        folder.mkdir()
        try:
            with _reaching():
                _download(f"{owner}/{digest}", MANIFEST, folder)
                for name in _names(folder / MANIFEST):
                    _download(f"{owner}/{digest}", name, folder)
        except FileNotFoundError as error:
            raise ArtifactError(f"The artifact {digest[:12]} is not in the store, or not whole.") from error
        artifacts.untouched(folder)
        yield folder
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def delete(digest: str, owner: str) -> None:
    """Remove an artifact's objects, its manifest first; what is gone is no error. Raises StoreAway."""
    with _reaching():
        _bucket().delete(f"{owner}/{digest}/{MANIFEST}")
        for name in _bucket().listdir(f"{owner}/{digest}")[1]:
            _bucket().delete(f"{owner}/{digest}/{name}")


def delete_or_leave(digest: str, owner: str) -> None:
    """Do `delete`; what the bucket does not let go now, its nightly sweep removes."""
    try:
        delete(digest, owner)
    except StoreAway as error:
        log.error("artifact %s is left in the store: %s", digest[:12], error)


def delete_all(owner: str) -> None:
    """Remove every object of a person, also what no row names. Raises StoreAway."""
    with _reaching():
        digests = _bucket().listdir(owner)[0]
    for digest in digests:
        delete(digest, owner)


def held(*, before: datetime) -> Iterator[tuple[str, str]]:
    """Yield owner and digest of everything in the bucket whose last object is older. Raises StoreAway.

    Lists all objects, a thousand a request.
    """
    newest: dict[tuple[str, str], datetime] = {}
    with _reaching():
        bucket: Any = _bucket()
        prefix = f"{bucket.location}/" if bucket.location else ""
        for each in bucket.bucket.objects.filter(Prefix=prefix):
            owner, _, rest = each.key.removeprefix(prefix).partition("/")
            digest, _, name = rest.partition("/")
            if name:
                key = (owner, digest)
                newest[key] = max(newest.get(key, each.last_modified), each.last_modified)
    yield from (key for key, at in newest.items() if at < before)


def copy_to(folder: Path, wanted: Collection[tuple[str, str]]) -> None:
    """Download artifacts (owner, digest) into a folder laid out as ARTIFACT_DIR is; some may be gone."""
    for owner, digest in wanted:
        try:
            with downloaded(digest, owner) as found:
                shutil.copytree(found, artifacts.path_of(folder, digest))
        except ArtifactError:  # its person deleted it meanwhile
            continue


def copy_from(folder: Path) -> None:
    """Replace what the bucket holds by such a folder: upload all of it, then delete the rest."""
    kept = set()
    for manifest in folder.glob(f"??/*/{MANIFEST}"):
        owner = str(json.loads(manifest.read_text())["owner"])
        publish(manifest.parent, owner)
        kept.add((owner, manifest.parent.name))
    with _reaching():
        owners = _bucket().listdir("")[0]
        found = {(owner, digest) for owner in owners for digest in _bucket().listdir(owner)[0]}
    for owner, digest in found - kept:
        delete(digest, owner)


def _download(prefix: str, name: str, folder: Path) -> None:
    with _bucket().open(f"{prefix}/{name}") as source, (folder / name).open("wb") as target:
        shutil.copyfileobj(source, target)


def _names(manifest: Path) -> list[str]:
    """Return the plain file names that a manifest lists. Raises ArtifactError for anything else."""
    try:
        names = list(json.loads(manifest.read_bytes())["files"])
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError("The manifest in the store cannot be read.") from error
    if any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise ArtifactError("The manifest in the store names files elsewhere.")
    return names


def _bucket() -> Any:
    return storages[ALIAS]


@contextmanager
def _reaching() -> Iterator[None]:
    from boto3.exceptions import Boto3Error  # slow to import, and only where a bucket is used
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        name = type(error).__name__
        raise StoreAway(f"The artifact store does not answer as it should ({name}). Try again.") from error
