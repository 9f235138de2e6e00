"""A host's copies of artifacts that lie in a bucket: when each was last used, and how one goes.

Without a bucket the folder is the store itself, and nothing here touches it.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from personalization import artifacts

log = logging.getLogger(__name__)

DIGEST = re.compile(r"[0-9a-f]{64}")


def touch(place: Path) -> bool:
    """Note that a copy is used now; False where there is none."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    return True


def drop(names: Iterable[str]) -> None:
    """Remove the copies of these digests; other names are of people, and no copy has them."""
    for name in names:
        if not DIGEST.fullmatch(name):
            continue
        place = artifacts.path_of(settings.ARTIFACT_DIR, name)
        if not place.is_dir():
            continue
        aside = Path(tempfile.mkdtemp(dir=settings.ARTIFACT_DIR, prefix="fetching-"))
        try:
            place.rename(aside / name)  # nobody sees half of it
        except OSError:  # another process was faster
            log.info("copy of %s is gone already", name[:12])
        shutil.rmtree(aside, ignore_errors=True)
