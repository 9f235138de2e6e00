"""Which names a server has at hand: what answers hold stays, of the rest the least recently used goes.

Knows nothing of vLLM, files or tensors. For one thread.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Shelf:
    """Names and their sizes, `limit_bytes` together unless answers that are under way need more."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()  # least recently used first
        self._held: Counter[str] = Counter()
        self._deleted: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def put(self, name: str, size_bytes: int) -> None:
        """Note that a name is at hand."""
        self._sizes[name] = size_bytes

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """Keep a name, from before it is put to when it is not needed any more."""
        self._held[name] += 1
        self._deleted.discard(name)  # who asks for it knows that it is there again
        try:
            yield
        finally:
            self._held[name] -= 1
            if name in self._sizes:
                self._sizes.move_to_end(name)

    def delete(self, digests: Iterable[str]) -> None:
        """Let every name that stands for one of these go as soon as nobody holds it."""
        for digest in digests:
            self._deleted.update(name for name in self._sizes if digest in name)

    def take_surplus(self) -> list[str]:
        """Take off what was deleted, and what there is no room for; return their names."""
        self._held = +self._held
        free = [name for name in self._sizes if not self._held[name]]
        gone = [name for name in free if name in self._deleted]
        total = sum(self._sizes.values()) - sum(self._sizes[name] for name in gone)
        for name in free:
            if total <= self._limit:
                break
            if name not in self._deleted:
                gone.append(name)
                total -= self._sizes[name]
        for name in gone:
            del self._sizes[name]
            self._deleted.discard(name)
        return gone
