"""Keys and values of texts that were read before, so that a conversation's earlier turns are not read again.

Knows nothing of requests or models. What was computed under one key (whose it is, which artifacts acted and
how strongly) is never found under another: neither the numbers nor the time they save can tell people about
each other. Entries are dropped when they were not used for a while, oldest first where room is short.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# A prefix that is shorter is read again: finding it would save less than it costs.
SHORTEST = 16
# What somebody said does not stay in memory longer than this after its last use.
SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Key:
    """What keys and values depend on besides the tokens: whose they are, and what acted, how strongly."""

    owner: str
    acting: tuple[tuple[str, float], ...]  # (digest, strength)

    def is_of(self, names: Collection[str]) -> bool:
        """Say whether the owner, or an artifact that acted, is one of these."""
        return self.owner in names or any(digest in names for digest, _ in self.acting)


@dataclass(slots=True)
class _Entry:
    tokens: NDArray[np.int64]
    states: Tensor  # (2 x layers, heads, tokens, width): keys and values by turns
    used: float = field(default_factory=time.monotonic)


class PrefixCache:
    """At most `limit_bytes` of keys and values; safe to use from many threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[int, tuple[Key, _Entry]] = OrderedDict()  # least recently used first
        self._by_key: dict[Key, set[int]] = {}
        self._next = 0
        self._lock = threading.Lock()
        self.size_bytes = 0

    def find(self, key: Key, tokens: Sequence[int]) -> Tensor | None:
        """Return keys and values of the longest known beginning of `tokens`, without the last one.

        The last token is always left to read: its output is what comes next. None where too little is known.
        """
        wanted = np.asarray(tokens[:-1], dtype=np.int64)
        with self._lock:
            best, length = None, SHORTEST - 1
            for name in self._by_key.get(key, ()):
                if (common := _common(self._kept[name][1].tokens, wanted)) > length:
                    best, length = name, common
            if best is None:
                return None
            self._kept.move_to_end(best)
            entry = self._kept[best][1]
            entry.used = time.monotonic()
            return entry.states[:, :, :length]

    def keep(self, key: Key, tokens: Sequence[int], held: Callable[[], Tensor]) -> None:
        """Keep the keys and values of these tokens, which `held` copies: (2 x layers, heads, tokens, width).

        What is a beginning of them is not needed any more; what is larger than the limit is not kept, and
        what is too short or switched off is not even copied.
        """
        if len(tokens) < SHORTEST or not self._limit:
            return
        states = held()
        new = _Entry(np.asarray(tokens, dtype=np.int64), states)
        with self._lock:
            for name in list(self._by_key.get(key, ())):
                known = self._kept[name][1].tokens
                common = _common(known, new.tokens)
                if common == len(new.tokens):
                    return
                if common == len(known):
                    self._drop(name)
            if states.nbytes > self._limit:
                return
            self._next += 1
            self._kept[self._next] = (key, new)
            self._by_key.setdefault(key, set()).add(self._next)
            self.size_bytes += states.nbytes
            while self.size_bytes > self._limit:
                self._drop(next(iter(self._kept)))

    def forget(self, names: Collection[str]) -> None:
        """Drop what these artifacts acted on, and what belongs to these owners."""
        with self._lock:
            for name, (key, _) in list(self._kept.items()):
                if key.is_of(names):
                    self._drop(name)

    def expire(self) -> None:
        """Drop what was not used for SECONDS."""
        with self._lock:
            for name, (_, entry) in list(self._kept.items()):
                if time.monotonic() - entry.used < SECONDS:
                    return  # the others were used later
                self._drop(name)

    def _drop(self, name: int) -> None:
        key, entry = self._kept.pop(name)
        self._by_key[key].discard(name)
        if not self._by_key[key]:
            del self._by_key[key]
        self.size_bytes -= entry.states.nbytes


def _common(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> int:
    """Return how many tokens both begin with."""
    n = min(len(known), len(wanted))
    differs = np.flatnonzero(known[:n] != wanted[:n])
    return int(differs[0]) if len(differs) else n
