"""The Redis stream of each reply: workers publish its tokens, web processes relay them.

Knows nothing of generation or pages. Used by both sides, so it imports neither torch nor views.
An entry has the fields `event` (token, done) and `data` (JSON). Streams expire by themselves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

START = "0-0"


def _key(reply_id: object) -> str:
    return f"reply:{reply_id}"


@cache
def connection() -> redis.Redis:
    """Return this process's connection pool."""
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, health_check_interval=30)


def publish(reply_id: object, event: str, **data: Any) -> None:
    """Append one event to a reply's stream and renew its time to live."""
    pipe = connection().pipeline(transaction=False)
    pipe.xadd(_key(reply_id), {"event": event, "data": json.dumps(data)}, maxlen=10_000, approximate=True)
    pipe.expire(_key(reply_id), settings.STREAM_TTL_SECONDS)
    pipe.execute()


def text_so_far(reply_id: object) -> str:
    """Return the tokens published so far, joined: what a person has seen of a reply that never ended."""
    return so_far(reply_id)[0]


def so_far(reply_id: object) -> tuple[str, dict[str, Any] | None]:
    """Return the same, and what was said of the end; None while it goes on, or where all has expired."""
    found = events(reply_id)
    ends = [data for event, data in found if event == "done"]
    return "".join(data["text"] for event, data in found if event == "token"), ends[-1] if ends else None


def events(reply_id: object) -> list[tuple[str, dict[str, Any]]]:
    """Return every event of a stream so far, each with its data; empty where all has expired."""
    entries: Any = connection().xrange(_key(reply_id))  # redis types every protocol version at once
    return [(fields["event"], json.loads(fields["data"])) for _, fields in entries]


def take_once(reply_id: object) -> bool:
    """Say whether this is the first call for this stream: whoever is told so does its work."""
    return bool(connection().set(f"{_key(reply_id)}:taken", 1, nx=True, ex=settings.STREAM_TTL_SECONDS))


def note(person_id: object, *reply_ids: object) -> None:
    """Note that these streams hold what is this person's, so that erasing the person removes them."""
    pipe = connection().pipeline(transaction=False)
    pipe.sadd(f"streams:of:{person_id}", *map(str, reply_ids))
    pipe.expire(f"streams:of:{person_id}", 2 * settings.STREAM_TTL_SECONDS)
    pipe.execute()


def noted(person_id: object) -> list[str]:
    """Return the streams that were noted for a person."""
    return sorted(map(str, connection().smembers(f"streams:of:{person_id}")))


def request_cancel(reply_id: object) -> None:
    """Ask the worker that makes this reply to stop at the next token."""
    connection().set(f"{_key(reply_id)}:cancel", 1, ex=settings.STREAM_TTL_SECONDS)


def is_cancelled(reply_id: object) -> bool:
    """Say whether somebody asked this reply to stop."""
    return bool(connection().exists(f"{_key(reply_id)}:cancel"))


def delete(*reply_ids: object) -> None:
    """Remove every key of these replies."""
    keys = [f"{_key(r)}{part}" for r in reply_ids for part in ("", ":cancel", ":taken")]
    if keys:
        connection().delete(*keys)


def async_connection() -> redis.asyncio.Redis:
    """Return a new connection for one event loop; the caller closes it."""
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, decode_responses=True)


async def read_patiently(
    client: redis.asyncio.Redis, last_ids: Mapping[str, str], *, block_ms: int
) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Do `read`; where the broker is away, wait as long and return nothing: the rows tell how it ends."""
    try:
        return await read(client, last_ids, block_ms=block_ms)
    except redis.RedisError:
        await asyncio.sleep(block_ms / 1000)
        return []


async def read(
    client: redis.asyncio.Redis, last_ids: Mapping[str, str], *, block_ms: int = 5_000
) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Wait for what comes after `last_ids` (reply id -> entry id).

    Returns (reply id, entry id, event, data) in order; empty when nothing came within `block_ms`.
    """
    wanted: Any = {_key(r): last for r, last in last_ids.items()}
    answer: Any = await client.xread(wanted, block=block_ms, count=500)  # typed as in `events`
    return [
        (key.removeprefix("reply:"), entry_id, fields["event"], json.loads(fields["data"]))
        for key, entries in answer
        for entry_id, fields in entries
    ]
