"""Tell every engine process which artifacts, and which people, it must forget, because they were deleted.

Knows nothing of engines. Names (an artifact's digest, a person's id) stand in one sorted set under a running
number; each process reads on from the number it saw last, so that none is missed while it was busy. A name
that is announced again moves up.
"""

from __future__ import annotations

from typing import Any

import redis

from alignapp.chat import streams

_KEY, _COUNTER = "evicted", "evicted:number"
_KEPT = 10_000


def announce(*names: str) -> None:
    """Publish names to be forgotten. Raises redis.RedisError."""
    client = streams.connection()
    for name in names:
        client.zadd(_KEY, {name: int(str(client.incr(_COUNTER)))})
    client.zremrangebyrank(_KEY, 0, -_KEPT - 1)


class Evictions:
    """What one engine process has still to forget."""

    def __init__(self) -> None:
        self._last = 0.0

    def new(self) -> list[str]:
        """Return the names announced since the last call; empty when the broker does not answer."""
        try:
            found: Any = streams.connection().zrange(
                _KEY, f"({self._last}", "+inf", byscore=True, withscores=True
            )
        except redis.RedisError:
            return []
        if found:
            self._last = float(found[-1][1])
        return [str(name) for name, _ in found]
