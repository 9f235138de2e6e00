"""What the workers write, piece by piece, for whoever waits for a request. Asynchronous: no thread is held.

The broker brings the pieces, the rows say how it ended; where the broker is away only the rows are read.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from django.conf import settings

from alignapp.api.errors import ApiError
from alignapp.chat import streams
from alignapp.chat.events import briefly
from alignapp.chat.models import Reply

BLOCK_MS = 1_000
LOOK_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of the reply at `position`, or its end: then `ended` is the finished row."""

    position: int
    text: str = ""
    ended: Reply | None = None


async def pieces(replies: Iterable[Reply]) -> AsyncGenerator[Piece]:
    """Yield the text of all replies as it comes, and the end of each.

    Raises ApiError when one fails, is deleted, or takes longer than ALIGN_API_SECONDS.
    """
    places = {str(reply.id): reply.position for reply in replies}
    after, sent = dict.fromkeys(places, streams.START), dict.fromkeys(places, "")
    client, begun, looked = streams.async_connection(), time.monotonic(), time.monotonic()
    try:
        while after:
            is_one_done = False
            for reply_id, entry, name, data in await streams.read_patiently(client, after, block_ms=BLOCK_MS):
                after[reply_id] = entry
                if name == "token":
                    sent[reply_id] += data["text"]
                    yield Piece(places[reply_id], data["text"])
                elif name == "done":
                    is_one_done = True
            if is_one_done or time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                for row in await _ended(after):
                    missing = row.text[len(sent[str(row.id)]) :]  # what the broker lost
                    if missing:
                        yield Piece(row.position, missing)
                    yield Piece(row.position, ended=row)
                    del after[str(row.id)]
            if after and time.monotonic() - begun > settings.API_SECONDS:
                raise ApiError(504, f"No answer came within {settings.API_SECONDS} seconds. Try again later.")
    finally:
        await client.aclose()


async def _ended(reply_ids: Iterable[str]) -> list[Reply]:
    """Return the replies that have ended well. Raises ApiError where one did not."""
    wanted = set(reply_ids)
    rows = await briefly(lambda: list(Reply.objects.filter(id__in=wanted).order_by("position")))
    if len(rows) < len(wanted):
        raise ApiError(409, "The request was deleted while it was answered.")
    ended = [row for row in rows if row.has_ended]
    for row in ended:
        if row.status == Reply.Status.FAILED:
            raise ApiError(503, row.error or "The answer could not be written. Try again.")
    return ended
