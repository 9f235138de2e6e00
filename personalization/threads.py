"""Threads for computing. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def in_a_thread_that_ends(make: Callable[[], Made]) -> Made:
    """Return what `make` does, computed by a thread that is gone afterwards.

    OpenMP keeps a team for every thread that has computed. With more threads than cores GNU's team lets all
    waiting threads sleep at once, and then a step of the engine's own thread takes half as long again.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()
