"""Run a set of services as children: start, wait until ready, restart what dies, stop everything.

Knows nothing of Django. Children die with this process, however it ends: each asks the kernel for a
signal when its parent is gone.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from alignapp.processes.services import Service
from personalization.errors import AlignError

log = logging.getLogger(__name__)

READY_SECONDS = 120
STOP_SECONDS = 30
RESTARTS = 5  # of one service; a service that dies more often stays down and is reported
_PR_SET_PDEATHSIG = 1
_NOTEWORTHY = ("WARNING", "ERROR", "CRITICAL", "Traceback")
# What an embedded Valkey says at every start; it matters to one with gigabytes.
_ORDINARY = "Memory overcommit must be enabled"


def _die_with_the_parent(number: signal.Signals) -> None:
    """Run in the child, before its command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


class Child:
    """One running service and its log file."""

    def __init__(self, service: Service, log_folder: Path, tell: Callable[[str], None]) -> None:
        self.service, self._tell = service, tell
        self.restarts = 0
        self._log_path = log_folder / f"{service.name}.log"
        self._ready = threading.Event()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process in a group of its own, so that Ctrl-C reaches it only through us.

        Waiting threads sleep instead of spinning (OMP_WAIT_POLICY): two workers that compute at the same
        time on the same cores otherwise slow each other down tenfold.
        """
        self._ready.clear()
        self._process = subprocess.Popen(
            self.service.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.service.environment},
            start_new_session=True,
            preexec_fn=partial(_die_with_the_parent, self.service.stopped_by),
        )
        assert self._process.stdout is not None
        threading.Thread(target=self._relay, args=(self._process.stdout,), daemon=True).start()

    def _relay(self, lines: IO[str]) -> None:
        with lines, self._log_path.open("a") as file:
            for line in lines:
                file.write(line)
                file.flush()
                if self.service.ready_line in line:
                    self._give_way()
                    self._ready.set()
                if any(word in line for word in _NOTEWORTHY) and _ORDINARY not in line:
                    self._tell(f"{self.service.name}: {line.rstrip()}")

    def _give_way(self) -> None:
        """Let other processes go first as far as asked, all threads of this one.

        Not before it is ready: on a busy machine what gives way would not even start in time.
        """
        assert self._process is not None
        own = os.getpriority(os.PRIO_PROCESS, 0)
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PGRP, self._process.pid, own + self.service.niceness)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether its log said so."""
        return self._ready.is_set()

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        lines = self._log_path.read_text(errors="replace").splitlines() if self._log_path.exists() else []
        return lines[-1] if lines else "it said nothing"

    def terminate(self) -> None:
        """Ask it to stop."""
        self._signal(self.service.stopped_by)

    def wait(self, until: float) -> None:
        """Wait for its end; at `until` (monotonic seconds) kill it and what it started."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout=max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class Stack:
    """Services that run together."""

    def __init__(self, services: Iterable[Service], log_folder: Path, tell: Callable[[str], None]) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self._own = [Child(service, log_folder, tell) for service in services]
        self.children = list(self._own)  # also those of another stack, which are looked after and not stopped
        self._tell = tell

    def start(self) -> None:
        """Start all and wait until each is ready. Raises AlignError with the last words of one that died."""
        for child in self.children:
            child.start()
        until = time.monotonic() + READY_SECONDS
        for child in self.children:
            while not child.is_ready:
                if not child.is_alive:
                    raise AlignError(f"{child.service.name} did not start: {child.last_words}")
                if time.monotonic() > until:
                    raise AlignError(
                        f"{child.service.name} is not ready after {READY_SECONDS} s. See its log."
                    )
                time.sleep(0.05)

    def revive(self) -> None:
        """Start again what died; one that keeps dying stays down."""
        for child in self.children:
            if child.is_alive or child.restarts > RESTARTS:
                continue
            child.restarts += 1
            if child.restarts > RESTARTS:
                self._tell(f"{child.service.name} died {RESTARTS} times and stays down: {child.last_words}")
                continue
            self._tell(f"{child.service.name} died and is started again: {child.last_words}")
            time.sleep(min(2.0 ** (child.restarts - 1), 10.0) - 1.0)
            child.start()

    def stop(self) -> None:
        """Stop all of its own, gently at first; nothing of them runs afterwards."""
        for child in self._own:
            child.terminate()
        until = time.monotonic() + STOP_SECONDS
        for child in self._own:
            child.wait(until)


@contextmanager
def running(services: Iterable[Service], log_folder: Path, tell: Callable[[str], None]) -> Iterator[Stack]:
    """Keep services running while the block runs."""
    stack = Stack(services, log_folder, tell)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
