"""The live view of one turn: its replies' Redis streams, woven into one line of server-sent events.

Knows nothing of generation. It holds no database connection while it waits: the rows are asked for
a moment only, when a reply ended or when nothing has come for a while.

Events: `token` {reply, text}, `restart` {reply} (the text begins anew), `done` {reply, status, html,
error}, `waiting` {reply, ahead}, `stalled` {reply, error}, `end`. Every event's id holds the
positions in all streams, so a browser that comes back gets exactly what it has missed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.utils.translation import gettext as _

from alignapp.chat import streams
from alignapp.chat.markdown import render
from alignapp.chat.models import Reply
from alignapp.chat.services import is_stalled
from alignapp.chat.waiting import ahead_of

# How long to wait for tokens before the rows are looked at, and before a proxy would give up on us.
BLOCK_MS = 2_000
LOOK_SECONDS = 4.0

Found = TypeVar("Found")


@dataclass(slots=True)
class Relay:
    """Relays the replies of one turn from `positions` (reply id -> entry id) until all have ended."""

    positions: dict[str, str]
    waiting: set[str] = field(default_factory=set)
    complained: set[str] = field(default_factory=set)

    async def events(self) -> AsyncIterator[str]:
        """Yield what goes over the wire; the last event is `end`."""
        self.waiting = set(self.positions)
        client = streams.async_connection()
        looked = 0.0
        try:
            yield "retry: 1500\n\n"
            while self.waiting:
                entries = await self._read(client)
                async for event in self._relayed(entries):
                    yield event
                if time.monotonic() - looked >= LOOK_SECONDS:
                    looked = time.monotonic()
                    async for event in self._looked_up():
                        yield event
                    yield ": still here\n\n"
            yield self._event("end")
        finally:
            await client.aclose()

    async def _read(self, client: Any) -> list[tuple[str, str, str, dict[str, Any]]]:
        open_positions = {r: p for r, p in self.positions.items() if r in self.waiting}
        return await streams.read_patiently(client, open_positions, block_ms=BLOCK_MS)

    async def _relayed(self, entries: Iterable[tuple[str, str, str, dict[str, Any]]]) -> AsyncIterator[str]:
        """Join the tokens of one batch per reply, so that a reader who comes late gets few events.

        A position moves only with the event that tells about it: a connection may break in between.
        """
        texts: dict[str, str] = {}
        reached: dict[str, str] = {}
        ended: dict[str, str] = {}
        for reply_id, entry_id, name, data in entries:
            self.complained.discard(reply_id)
            if name == "token":
                texts[reply_id] = texts.get(reply_id, "") + data["text"]
                reached[reply_id] = entry_id
            elif name == "restart":
                texts.pop(reply_id, None)
                self.positions[reply_id] = entry_id
                yield self._event("restart", reply=reply_id)
            elif name == "done":
                ended[reply_id] = entry_id
        for reply_id, text in texts.items():
            self.positions[reply_id] = reached[reply_id]
            yield self._event("token", reply=reply_id, text=text)
        for reply in await _rows(ended) if ended else []:
            self.positions[str(reply.id)] = ended[str(reply.id)]
            yield self._done(reply)

    async def _looked_up(self) -> AsyncIterator[str]:
        rows = await _rows(self.waiting)
        for missing in self.waiting - {str(reply.id) for reply in rows}:
            self.waiting.discard(missing)  # deleted meanwhile
        for reply in rows:
            if reply.has_ended:
                yield self._done(reply)
            elif is_stalled(reply) and str(reply.id) not in self.complained:
                self.complained.add(str(reply.id))
                yield self._event("stalled", reply=str(reply.id), error=_stalled_words(reply))
        queued = [r for r in rows if r.status == Reply.Status.QUEUED and str(r.id) not in self.complained]
        ahead = await briefly(partial(ahead_of, queued[0])) if queued else 0
        for reply in queued:
            yield self._event("waiting", reply=str(reply.id), ahead=ahead)

    def _done(self, reply: Reply) -> str:
        self.waiting.discard(str(reply.id))
        return self._event(
            "done",
            reply=str(reply.id),
            status=reply.status,
            html=render(reply.text),
            error=reply.error,
        )

    def _event(self, name: str, **data: Any) -> str:
        mark = ",".join(f"{reply_id}={entry}" for reply_id, entry in self.positions.items())
        return f"id: {mark}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def positions_from(mark: str, reply_ids: Iterable[uuid.UUID]) -> dict[str, str]:
    """Return where to go on for each reply: what the mark of the last event says, else the start."""
    known = dict(part.split("=", 1) for part in mark.split(",") if "=" in part)
    positions = {}
    for reply_id in map(str, reply_ids):
        entry = known.get(reply_id, streams.START)
        well_formed = all(number.isdecimal() for number in entry.split("-")) and entry.count("-") == 1
        positions[reply_id] = entry if well_formed and len(entry) < 42 else streams.START
    return positions


def _stalled_words(reply: Reply) -> str:
    if reply.status == Reply.Status.RUNNING:
        return _("The worker that was writing this answer stopped. What it wrote is kept.")
    return _("No worker has taken this answer on yet.")


async def _rows(reply_ids: Iterable[str]) -> list[Reply]:
    wanted = Reply.objects.filter(id__in=list(reply_ids)).select_related("turn__conversation")
    wanted = wanted.order_by("position")
    return await briefly(lambda: list(wanted))


async def briefly(query: Callable[[], Found]) -> Found:
    """Run a query and give its connection back at once: a stream lives for minutes."""

    def run() -> Found:
        try:
            return query()
        finally:
            close_connections()

    return await sync_to_async(run)()


def close_connections() -> None:
    """Close this thread's database connections, except inside of a transaction (in tests)."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
