"""Keep what lies in the artifacts' bucket, and in this host's cache of it, to what rows name.

Does nothing where the store is a folder: there every artifact is removed with its row.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from alignapp.adapters import cache, remote
from alignapp.adapters.evictions import Evictions
from alignapp.adapters.models import Artifact
from alignapp.instant.models import InstantVector
from alignapp.studies.models import RewardModel

log = logging.getLogger(__name__)

LISTEN_SECONDS = 20.0
TIDY_SECONDS = 1800.0
YOUNG_SECONDS = 600.0  # its row may still be on its way, or an engine still reading
ORPHANED_AFTER = timedelta(days=1)
KINDS = (Artifact, InstantVector, RewardModel)
CHUNK = 500


def named(digests: Sequence[str]) -> set[str]:
    """Return those of these digests that a row names, in chunks that any database takes."""
    found: set[str] = set()
    for model in KINDS:
        for start in range(0, len(digests), CHUNK):
            rows = model._base_manager.filter(digest__in=digests[start : start + CHUNK])
            found.update(rows.values_list("digest", flat=True))
    return found


def named_by_rows() -> list[tuple[str, str]]:
    """Return owner and digest of every artifact that there is a row of."""
    every = (model._base_manager.values_list("person_id", "digest") for model in KINDS)
    return sorted({(str(owner), digest) for rows in every for owner, digest in rows.iterator()})


def tidy() -> None:
    """Remove copies that no row names, then those used longest ago until ARTIFACT_CACHE_BYTES hold the rest.

    What was used in the last ten minutes stays.
    """
    if not remote.is_used():
        return
    copies = _copies()
    old = [copy for copy in copies if copy.seconds_unused > YOUNG_SECONDS]
    kept = named([copy.digest for copy in old])
    cache.drop(copy.digest for copy in old if copy.digest not in kept)
    room = settings.ARTIFACT_CACHE_BYTES - sum(
        c.size_bytes for c in copies if c.seconds_unused <= YOUNG_SECONDS
    )
    for copy in sorted(old, key=lambda each: each.seconds_unused):
        room -= copy.size_bytes if copy.digest in kept else 0
        if room < 0:
            cache.drop([copy.digest])
    _remove_unfinished()


def sweep_bucket() -> int:
    """Delete what has lain in the bucket for a day and no row names; return how many artifacts that were.

    So goes what a killed worker uploaded half, and what could not be deleted with its row. Raises StoreAway.
    """
    if not remote.is_used():
        return 0
    found = list(remote.held(before=timezone.now() - ORPHANED_AFTER))
    kept = named([digest for _, digest in found])
    orphans = [(owner, digest) for owner, digest in found if digest not in kept]
    for owner, digest in orphans:
        remote.delete(digest, owner)
    return len(orphans)


def keep_tidy() -> None:
    """Follow what is deleted elsewhere, as long as this process lives. Does nothing without a bucket."""
    if remote.is_used():
        threading.Thread(target=_follow, name="artifact-cache", daemon=True).start()


@dataclass(frozen=True, slots=True)
class _Copy:
    """One artifact in the cache."""

    digest: str
    size_bytes: int
    seconds_unused: float


def _copies() -> list[_Copy]:
    found, now = [], time.time()
    for place in Path(settings.ARTIFACT_DIR).glob("??/*"):
        try:
            size = sum(file.stat().st_size for file in place.iterdir())
            found.append(_Copy(place.name, size, now - place.stat().st_mtime))
        except OSError:  # dropped meanwhile
            continue
    return found


def _remove_unfinished() -> None:
    """Remove what processes left that were killed while they downloaded."""
    for folder in Path(settings.ARTIFACT_DIR).glob("fetching-*"):
        try:
            is_old = time.time() - folder.stat().st_mtime > YOUNG_SECONDS
        except FileNotFoundError:
            continue
        if is_old:
            shutil.rmtree(folder, ignore_errors=True)


def _follow() -> None:
    evictions, tidied = Evictions(), -TIDY_SECONDS
    while True:
        try:
            cache.drop(evictions.new())
            if time.monotonic() - tidied > TIDY_SECONDS:
                tidy()
                tidied = time.monotonic()
        except (DatabaseError, OSError) as error:
            log.warning("the artifact cache was not tidied: %s", error)
        finally:
            connection.close()
        time.sleep(LISTEN_SECONDS)
