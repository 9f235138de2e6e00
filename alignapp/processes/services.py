"""Which processes there are: what each is for, how it is started, and how to tell that it is ready."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from workers import queues

# Longer than a person thinks and a proxy keeps its end open: after uvicorn's own 5 s a request can meet a
# connection that is just being closed.
KEEP_ALIVE = ("--timeout-keep-alive", "75")
CELERY = (sys.executable, "-m", "celery", "-A", "workers.main")

# How a thread waits for its share of the next product. Learning multiplies large matrices: its threads sleep
# at once and leave their core to others. A token is hundreds of small products, and waking costs more than
# computing: generation's threads look for work for about a tenth of a millisecond first, which takes a third
# off a step of many people's adapters. Without limit they would take a core from those that compute.
SLEEPS = {"OMP_WAIT_POLICY": "passive"}
LOOKS_FIRST = {**SLEEPS, "GOMP_SPINCOUNT": "10000"}


@dataclass(frozen=True, slots=True)
class Service:
    """One process: its name, its purpose in words, its command, and how it gives way to others."""

    name: str
    purpose: str
    command: tuple[str, ...]
    ready_line: str  # what its log says when it is ready
    niceness: int = 0  # higher gives way: learning may wait, a person who chats should not
    environment: Mapping[str, str] = field(default_factory=lambda: SLEEPS)  # beside what it inherits
    stopped_by: signal.Signals = signal.SIGTERM  # by us, and by the kernel when we are gone


def web(host: str, port: int) -> Service:
    """The pages, on one address."""
    where = ("--host", host, "--port", str(port))
    return Service(
        "web",
        f"the pages, on http://{host}:{port}",
        (sys.executable, "-m", "uvicorn", "alignapp.asgi:application", *where, *KEEP_ALIVE),
        "Application startup complete",
    )


def workers() -> list[Service]:
    """The workers and the clock."""
    return [
        # A page takes milliseconds of the processor, an answer seconds: the page goes first.
        _worker(
            "generation",
            "writes the answers",
            queues.GENERATE,
            "threads",
            settings.ALIGN_ROWS,
            niceness=5,
            environment=LOOKS_FIRST,
        ),
        # One job or batch at a time in one process: training takes every core, and a second would halve both.
        _worker("training", "learns and proves", f"{queues.TRAIN},{queues.EVALUATE}", "solo", 1, niceness=15),
        # Two threads: a long import beside what rings every ten seconds.
        _worker("housekeeping", "puts right what died", queues.HOUSEKEEPING, "threads", 2),
        Service(
            "beat",
            "rings every ten seconds for housekeeping",
            (*CELERY, "beat", "--loglevel", "INFO", "--scheduler", "celery.beat:Scheduler", "--pidfile="),
            "beat: Starting",
            # It keeps nothing, and may lose a SIGTERM: Celery's handler raises SystemExit, which Python only
            # prints where it strikes a callback, as imports have them by the hundred.
            stopped_by=signal.SIGKILL,
        ),
    ]


def _worker(name: str, purpose: str, taken: str, pool: str, concurrency: int, **considerate: Any) -> Service:
    options = ("--pool", pool, "--concurrency", str(concurrency), "--hostname", f"{name}@%h")
    quiet = ("--loglevel", "INFO", "--without-gossip", "--without-mingle")
    command = (*CELERY, "worker", "--queues", taken, *options, *quiet)
    return Service(name, purpose, command, "workers.signals: ready", **considerate)
