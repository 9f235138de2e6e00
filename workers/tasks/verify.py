"""Read every byte of artifacts at night, some at a time."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from alignapp.adapters import acts
from alignapp.adapters.models import Artifact
from alignapp.processes import tidying
from workers.app import app

log = logging.getLogger(__name__)

EVERY = timedelta(hours=20)  # once a night, also when the nights are not of equal length
SECONDS = 240.0  # of one run; the next one, ten minutes later, goes on where it stopped


@app.task(name="workers.verify_artifacts")
def verify_artifacts() -> None:
    """Verify those that were not looked at for longest, for some minutes; damage is on record."""
    until = time.monotonic() + SECONDS
    due = Q(checked_at__isnull=True) | Q(checked_at__lt=timezone.now() - EVERY)
    oldest = Artifact.objects.filter(due).order_by(F("checked_at").asc(nulls_first=True))
    damaged = seen = 0
    for artifact in oldest.iterator(chunk_size=100):
        if time.monotonic() > until:
            break
        damaged += bool(acts.verify(artifact))
        seen += 1
    log.info("%d artifacts verified, %d damaged", seen, damaged)


@app.task(name="workers.sweep_bucket")
def sweep_bucket() -> None:
    """Delete what the artifacts' bucket holds and no row names. Without a bucket there is nothing to do."""
    if count := tidying.sweep_bucket():
        log.info("%d artifacts without a row are deleted from the bucket", count)
