"""Stop strings: an answer ends before the first of them, and no part of one is ever handed out.

Knows nothing of tokens: text comes in whole characters, in pieces of any length.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """The text of one growing answer, held back as long as it may be the beginning of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.text = ""  # what was handed out
        self.found = False

    def add(self, piece: str) -> str:
        """Return what can be handed out now; after a stop string was found, nothing."""
        if self.found:
            return ""
        self._held += piece
        at = min((i for stop in self._stops if (i := self._held.find(stop)) >= 0), default=None)
        if at is not None:
            self.found = True
            return self._hand_out(at, rest="")
        begun = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        certain = len(self._held) - begun
        return self._hand_out(certain, rest=self._held[certain:])

    def finish(self) -> str:
        """Return what was held back: the answer is over, and no stop string came of it."""
        return "" if self.found else self._hand_out(len(self._held), rest="")

    def _hand_out(self, count: int, *, rest: str) -> str:
        ready, self._held = self._held[:count], rest
        self.text += ready
        return ready


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` begin `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
