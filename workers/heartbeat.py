"""What this worker process says of itself, every few seconds, from a thread of its own.

Training keeps a process busy for minutes, in which it answers no ping; the thread speaks all the same.
"""

from __future__ import annotations

import logging
import os
import threading
from functools import cache
from importlib.metadata import version
from typing import Any

import psutil
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from alignapp.panel.models import Worker
from workers import engines, shutdown

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
NAMED = ("Django", "celery", "torch", "transformers", "peft")


def start(name: str, queues: list[str]) -> None:
    """Speak until the process ends."""
    threading.Thread(target=_speak, args=(name, queues), name="heartbeat", daemon=True).start()


def _speak(name: str, queues: list[str]) -> None:
    started = timezone.now()
    while not shutdown.requested.is_set():
        try:
            Worker.beat(name, queues=queues, started_at=started, pid=os.getpid(), **state())
        except DatabaseError as error:  # the next one may reach the database again
            log.warning("heartbeat not written: %s", error)
        finally:
            connection.close()
        shutdown.requested.wait(EVERY_SECONDS)
    try:
        Worker.objects.filter(name=name, pid=os.getpid()).delete()
    except DatabaseError as error:
        log.warning("the worker could not be taken off the list: %s", error)
    finally:
        connection.close()


def state() -> dict[str, Any]:
    """Return the fields of a heartbeat that change."""
    fields: dict[str, Any] = {
        "memory_bytes": psutil.Process().memory_info().rss,
        "versions": versions(),
        "resident": [],
        "device": "",
        "device_memory_bytes": 0,
        "model_revision": "",
    }
    if base := engines.loaded_base():
        fields["device"], fields["model_revision"] = str(base.device), base.revision
        if base.device.type == "cuda":
            import torch

            fields["device"] = f"{base.device} ({torch.cuda.get_device_name(base.device)})"
            fields["device_memory_bytes"] = torch.cuda.memory_reserved(base.device)
    if engine := engines.loaded_engine():
        fields["resident"] = engine.resident()
    return fields


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on, and which engine is used."""
    return {**{name: version(name) for name in NAMED}, "engine": settings.ALIGN_ENGINE}
