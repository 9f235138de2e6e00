"""What this machine can do at most, measured in the same run: bytes and products a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def limits() -> dict[str, float]:
    """Return bytes a second (a copy) and float32 operations a second (a product of 2048 squared)."""
    source = torch.empty(100_000_000)
    target = torch.empty_like(source)
    square = torch.randn(2048, 2048)
    return {
        "bytes_per_second": 2 * source.nbytes / _fastest(lambda: target.copy_(source)),
        "flops_per_second": 2 * 2048**3 / _fastest(lambda: square @ square),
    }


def step_seconds(weights: int, rows: int, adapter_bytes: int, machine: dict[str, float]) -> float:
    """Return the least time of one step of so many rows: all float32 weights read once, all products made.

    `adapter_bytes` are those of everybody in the batch together; each is multiplied for one row.
    """
    read = (4 * weights + adapter_bytes) / machine["bytes_per_second"]
    multiplied = (2 * weights * rows + adapter_bytes / 2) / machine["flops_per_second"]
    return max(read, multiplied)


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(7):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
