"""Zips that are sent while they are made: neither the memory nor a disk ever holds a whole one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async


class Sink:
    """What a zip is written into: keeps the bytes only until they are sent. `size` says how many wait."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def drain(self) -> bytes:
        """Return what was written since the last time."""
        data, self.parts, self.size = b"".join(self.parts), [], 0
        return data


async def sent(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read the next part in a thread: the server's loop must not wait for a disk or a database.

    Django would put a plain iterator into a list first.
    """
    while (part := await sync_to_async(lambda: next(parts, None))()) is not None:
        if part:
            yield part
