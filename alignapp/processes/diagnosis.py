"""What is right and what is not about an installation, and how to mend it. Changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from alignapp.processes import checks
from personalization.errors import AlignError
from workers import queues
from workers.app import app

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis."""

    subject: str
    state: State
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the fields."""
        return asdict(self)


def diagnose() -> Iterator[Finding]:
    """Yield what was found, one subject after the other."""
    yield _required("packages", checks.check_packages, "all of the lock file's are there")
    yield _database()
    yield _required("disk", checks.check_disk, f"room in {settings.VAR_DIR}")
    yield _model()
    if settings.ALIGN_ENGINE == "vllm":
        yield _vllm()
    broker = _broker()
    yield broker
    if broker.state != "fail":
        yield from _workers()
    yield _static_files()
    yield _browser()


def _required(subject: str, check: Callable[[], None], right: str) -> Finding:
    try:
        check()
    except AlignError as error:
        return Finding(subject, "fail", str(error))
    return Finding(subject, "ok", right)


def _database() -> Finding:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Finding("database", "fail", f"unreachable ({error}); look at DATABASE_URL")
    if waiting:
        return Finding("database", "fail", f"{len(waiting)} migrations wait; run manage.py migrate")
    return Finding("database", "ok", f"{connection.vendor}, every migration applied")


def _model() -> Finding:
    found = _required("model", checks.check_model, settings.ALIGN_MODEL)
    if found.state == "ok" and not checks.is_model_prepared():
        return Finding("model", "warn", "not prepared yet; manage.py up does it once, in about 30 s")
    return found


def _vllm() -> Finding:
    import httpx2  # here, because the pages do without it

    key = {"Authorization": f"Bearer {settings.ALIGN_VLLM_KEY}"}
    try:
        answer = httpx2.get(f"{settings.ALIGN_VLLM_URL}/v1/models", headers=key, timeout=5.0, trust_env=False)
    except httpx2.HTTPError as error:
        why = f"nothing answers at {settings.ALIGN_VLLM_URL} ({error}); start it, or set ALIGN_VLLM_URL"
        return Finding("vLLM server", "fail", why)
    if answer.status_code == 401:
        return Finding("vLLM server", "fail", "has another key; set ALIGN_VLLM_KEY to its VLLM_API_KEY")
    if answer.status_code != 200:
        return Finding("vLLM server", "fail", f"answers {answer.status_code}; look at its log")
    return Finding("vLLM server", "ok", "answers, and takes the key")


def _broker() -> Finding:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2) as client:
            persistent = client.config_get("appendonly").get("appendonly") == "yes"
    except redis.ConnectionError:
        return Finding(
            "broker", "fail", f"nothing answers at {settings.REDIS_URL}; start `make run`, or set REDIS_URL"
        )
    except redis.RedisError:
        return Finding("broker", "ok", "reachable (it does not tell its settings)")
    if not persistent:
        return Finding("broker", "warn", "keeps nothing over a restart; set appendonly yes")
    return Finding("broker", "ok", "reachable, and it keeps what it holds")


def _workers() -> Iterator[Finding]:
    listening = app.control.inspect(timeout=2.0).active_queues() or {}
    taken = {queue["name"] for of_worker in listening.values() for queue in of_worker}
    for name in (queues.GENERATE, queues.TRAIN, queues.HOUSEKEEPING):
        if name in taken:
            yield Finding(f"worker: {name}", "ok", "alive")
        else:
            # A solo worker answers no ping while it trains.
            yield Finding(
                f"worker: {name}", "warn", "does not answer: start it with manage.py up (or it is busy)"
            )


def _static_files() -> Finding:
    if (settings.STATIC_ROOT / "staticfiles.json").exists():
        return Finding("static files", "ok", "collected")
    return Finding("static files", "warn", "not collected; manage.py up does it, or manage.py collectstatic")


def _browser() -> Finding:
    if found := shutil.which("chromium"):
        return Finding("browser for tests", "ok", found)
    return Finding("browser for tests", "warn", "no chromium; apt-get install chromium")
