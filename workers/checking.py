"""Have a base model checked by a process of its own, and keep what it finds in the registry's row.

Knows nothing of queues. A model that does not fit, or crashes, takes that process with it and not the worker.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction

from alignapp.adapters.models import KnownModel
from workers import shutdown

if TYPE_CHECKING:
    from personalization.models.base import BaseModel

log = logging.getLogger(__name__)

MOST_SECONDS = 1800.0
LOOK_SECONDS = 2.0  # how often the lease is kept while the process says nothing


def run(known: KnownModel) -> None:
    """Check a model whose row this worker holds. Raises LeaseLost and ShuttingDown."""
    Path(settings.ARTIFACT_DIR).mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "personalization.engine.smoke", known.spec,
        "--model-dir", str(settings.MODEL_DIR), "--store", str(settings.ARTIFACT_DIR),
        "--values", str(settings.VALUES_DIR), "--device", settings.ALIGN_DEVICE,
        "--threads", str(settings.ALIGN_THREADS), "--licence", known.licence,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    timer = threading.Timer(MOST_SECONDS, process.kill)
    timer.start()
    with process:
        try:
            checks, facts = _follow(known, process)
        finally:
            timer.cancel()
            process.kill()
    _end(known, checks, facts)


def _follow(known: KnownModel, process: subprocess.Popen[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Read the process's lines until it ends, and keep the lease meanwhile."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    checks: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    progress = 0.0
    while True:
        if shutdown.requested.is_set():
            raise shutdown.ShuttingDown
        try:
            line = lines.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            known.report(progress, checks)
            continue
        if line is None:
            return checks, facts
        told = json.loads(line)
        progress = told.get("share", progress)
        facts = told.get("facts", facts)
        checks += [told["finding"]] if "finding" in told else []
        known.report(progress, checks)


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):  # a library may print something of its own
            lines.put(line)
    lines.put(None)


def _end(known: KnownModel, checks: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    failed = [f"{each['name']}: {each['words']}" for each in checks if not each["ok"]]
    if failed or not facts:
        ended = "The process ended before it was through: perhaps the memory was not enough."
        known.end(" ".join(failed) or ended)
        return
    fields = {name: facts.pop(name) for name in ("name", "revision", "content_hash", "licence")}
    if known.revision and known.revision != fields["revision"]:
        known.end(
            f"It is not the model that was checked before: {known.revision} then, {fields['revision']} now."
        )
        return
    try:
        with transaction.atomic():
            known.end("", facts=facts, **fields)
    except IntegrityError:
        same = KnownModel.objects.filter(revision=fields["revision"]).first()
        known.end(f"It is the same model as {same.spec if same else 'another one'}, byte for byte.")


def register(base: BaseModel) -> None:
    """Put the base model that this worker answers with on record; the first one is the default."""
    from personalization.engine.smoke import caches_of
    from personalization.models.vetting import facts_of

    facts = facts_of(base) | {
        "caches": caches_of(base, settings.VALUES_DIR, settings.MODEL_DIR / "personality")
    }
    found = {
        "spec": settings.ALIGN_MODEL[:300],
        "name": base.name[:120],
        "added_by": "worker",
        "facts": facts,
    }
    try:
        with transaction.atomic():
            KnownModel.objects.get_or_create(revision=base.revision, defaults=found)
            if not KnownModel.objects.filter(is_default=True).exists():
                KnownModel.objects.filter(revision=base.revision).update(is_default=True)
    except IntegrityError as error:  # another worker that starts was faster
        log.info("base model %s is on record already: %s", base.revision, error)
