"""Where the load runs: a database and a broker number of its own, folders, and what every process is told.

Knows nothing of Django: it sets the environment that Django reads. The database is dropped and the broker
number emptied afterwards, however the run ends.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

DATABASE_SERVER = "postgres://postgres@127.0.0.1:5432/postgres"
BROKER_SERVER = "redis://127.0.0.1:6379"
TESTS_NUMBER = 9  # of the broker's databases: the test suite's
HOSTS = ("a", "b")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one run, and the environment that all of its processes share."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def logs(self) -> Path:
        """The folder of every process's log."""
        return self.folder / "log"

    def of_host(self, host: str) -> dict[str, str]:
        """Return what is a worker host's own: its caches. Database, broker and artifacts are everybody's."""
        own = self.folder / f"host-{host}"
        return {"ALIGN_VAR": str(own), "ALIGN_MODELS": str(own / "models")}


@contextmanager
def own_place(folder: Path, *, model: str, models: Path, answer_tokens: int) -> Iterator[Place]:
    """Make the place, set this process's environment to it, and take both away again.

    Raises psycopg.OperationalError and redis.RedisError where no server answers at DATABASE_URL and
    REDIS_URL, and RuntimeError where no number of the broker is free.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for host in HOSTS:
        _copy_models(models, folder / f"host-{host}" / "models")
    with (
        own_database(os.environ.get("DATABASE_URL", DATABASE_SERVER)) as database,
        own_number(os.environ.get("REDIS_URL", BROKER_SERVER)) as broker,
    ):
        for name in [name for name in os.environ if name.startswith("ALIGN_")]:
            del os.environ[name]
        environment = {
            "DATABASE_URL": database,
            "REDIS_URL": broker,
            "ALIGN_VAR": str(folder),
            "ALIGN_ARTIFACTS": str(folder / "artifacts"),
            "ALIGN_CHECKPOINTS": str(folder / "checkpoints"),
            "ALIGN_MODEL": model,
            "ALIGN_MODELS": str(models),
            "ALIGN_SECRET_KEY": secrets.token_urlsafe(50),
            "ALIGN_MAX_NEW_TOKENS": str(answer_tokens),
            "ALIGN_THREADS": "1",  # two hosts on one machine: each gets a core
            "HF_HUB_OFFLINE": "1",
            "DJANGO_SETTINGS_MODULE": "alignapp.settings",
        }
        os.environ.update(environment)
        yield Place(folder, environment)


def _copy_models(models: Path, to: Path) -> None:
    """Give a host its own copy of the prepared model: hard links where the file system has them."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    if models.is_dir():
        shutil.copytree(models, to, copy_function=link)


@contextmanager
def own_database(server: str) -> Iterator[str]:
    name = f"alignapp_load_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def own_number(server: str) -> Iterator[str]:
    """Use the highest number of the broker that holds nothing."""
    for number in range(15, 0, -1):
        url = urlsplit(server)._replace(path=f"/{number}").geturl()
        with redis.Redis.from_url(url) as client:
            if number == TESTS_NUMBER or client.dbsize():
                continue
            try:
                yield url
            finally:
                client.flushdb()
            return
    raise RuntimeError(
        f"Every number of the broker at {server} holds something. Empty one: redis-cli -n 15 FLUSHDB"
    )
