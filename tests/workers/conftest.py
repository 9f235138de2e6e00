"""Real workers for tests: processes that do what the same commands do in production, on a tiny model."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from django.db import connection

from alignapp.adapters.models import Job, MethodInfo
from alignapp.chat import streams
from alignapp.processes import services
from tests import tiny
from tests.environment import ROOT
from tests.workers import preloaded
from workers import engines, refusals, shutdown

LEASE_SECONDS = 3


class Workers:
    """Worker processes: started once, used by test after test while they live, and none is left."""

    def __init__(self, folder: Path) -> None:
        self.environment: dict[str, str] = {}
        self._folder = folder
        self._running: dict[str, tuple[BaseProcess, dict[str, str]]] = {}

    def start(self, name: str = "training") -> BaseProcess:
        """Return one of the services when it is ready: the one that runs, if its environment is this."""
        if name in self._running:
            process, environment = self._running[name]
            if process.is_alive() and environment == self.environment:
                return process
            self.kill(process)
        service = next(s for s in services.workers() if s.name == name)
        log = self._folder / f"{name}-{time.monotonic_ns()}.log"
        log.touch()
        process = preloaded.start(service.command, self.environment, log, ROOT)
        self._running[name] = process, dict(self.environment)
        wait_until(lambda: service.ready_line in log.read_text() or not process.is_alive())
        assert process.is_alive(), log.read_text()
        return process

    def kill(self, process: BaseProcess, how: signal.Signals = signal.SIGKILL) -> None:
        """End a worker with everything that it started."""
        if process.is_alive():
            assert process.pid
            os.killpg(process.pid, how)
            process.join(timeout=40)
            assert not process.is_alive()

    def kill_all(self) -> None:
        """End every worker."""
        for process, _environment in self._running.values():
            self.kill(process)


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition. Raises AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def wait_for(job: Job, *states: str, seconds: float = 60.0) -> Job:
    """Wait until a job is in one of the states and return it."""

    def arrived() -> bool:
        job.refresh_from_db()
        return job.state in states

    wait_until(arrived, seconds)
    return job


def database_url() -> str:
    """Return the test database's address, for processes of their own."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    user = f"{settings['USER']}:{settings['PASSWORD']}@" if settings["USER"] else ""
    return f"postgres://{user}{settings['HOST'] or '127.0.0.1'}:{settings['PORT'] or 5432}/{settings['NAME']}"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A folder with a tiny random model, as ALIGN_MODEL may name."""
    folder = tmp_path_factory.mktemp("model")
    base = tiny.base()
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="package")
def processes(tmp_path_factory) -> Iterator[Workers]:
    """The worker processes of all tests here: a start costs ten seconds, and the next test needs the same."""
    running = Workers(tmp_path_factory.mktemp("workers"))
    yield running
    running.kill_all()


@pytest.fixture(autouse=True)
def unasked(request, processes) -> None:
    """Leave no worker to a test that did not ask for one: it would take what the test does itself."""
    if "workers" not in request.fixturenames:
        processes.kill_all()


@pytest.fixture
def workers(processes, transactional_db, tiny_model, settings) -> Iterator[Workers]:
    """Worker processes that share this test's database, broker and folders."""
    settings.JOB_LEASE_SECONDS = LEASE_SECONDS
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    processes.environment = {
        **inherited,
        "DATABASE_URL": database_url(),
        "ALIGN_MODEL": str(tiny_model),
        "ALIGN_JOB_LEASE_SECONDS": str(LEASE_SECONDS),
        "ALIGN_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    yield processes
    streams.connection().flushdb()


@pytest.fixture
def engine(settings, tiny_model, tmp_path):
    """This process's engine, on a tiny model; slowed down so that a test can act while it writes."""
    settings.ALIGN_MODEL, settings.ALIGN_THREADS = str(tiny_model), 1
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    engines._base.cache_clear()
    engines._engine.cache_clear()
    refusals._verified.clear()
    made = engines.engine_for_process()
    step = made._batch.step
    made._batch.step = lambda: (time.sleep(0.01), step())[1]
    yield made
    made.close()
    engines._base.cache_clear()
    engines._engine.cache_clear()
    shutdown.requested.clear()
    streams.connection().flushdb()
