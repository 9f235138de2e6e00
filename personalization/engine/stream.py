"""The events of one request, handed from the engine's thread to whoever reads them.

Knows nothing of batches or models.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator

from personalization.engine.requests import Finished, Token


class LocalStream:
    """One reader iterates; the engine puts events in. The last event is `Finished`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._events: queue.SimpleQueue[Token | Finished] = queue.SimpleQueue()
        self._wake = wake
        self._finished: Finished | None = None
        self.cancelled = False

    def __iter__(self) -> Iterator[Token | Finished]:
        """Yield tokens as they come, then `Finished`; a second reading gives `Finished` again."""
        while (event := self.next()) is not None:
            yield event
            if isinstance(event, Finished):
                return

    def next(self, timeout_seconds: float | None = None) -> Token | Finished | None:
        """Return the next event; None when none came within the timeout."""
        if self._finished is not None and self._events.empty():
            return self._finished
        try:
            event = self._events.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        if isinstance(event, Finished):
            self._finished = event
        return event

    def put(self, event: Token | Finished) -> None:
        """Add an event; only the engine calls this."""
        self._events.put(event)

    def cancel(self) -> None:
        """Stop at the next token; `Finished("cancelled")` follows."""
        self.cancelled = True
        self._wake()
