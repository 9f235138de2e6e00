"""What this machine can do at most, measured in the same run: bytes and products a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from personalization.models.base import BaseModel


def limits() -> dict[str, float]:
    """Return bytes a second (a copy) and float32 operations a second (a product of 2048 squared)."""
    source = torch.empty(100_000_000)
    target = torch.empty_like(source)
    square = torch.randn(2048, 2048)
    return {
        "bytes_per_second": 2 * source.nbytes / _fastest(lambda: target.copy_(source)),
        "flops_per_second": 2 * 2048**3 / _fastest(lambda: square @ square),
    }


def step_seconds(base: BaseModel, rows: int, adapter_bytes: int, machine: dict[str, float]) -> float:
    """Return the least time of one step of so many rows: all weights read once, all products made.

    `adapter_bytes` are those of everybody in the batch together; each is multiplied for one row.
    """
    weights = sum(p.numel() for name, p in base.model.named_parameters() if "norm" not in name)
    read = (4 * weights + adapter_bytes) / machine["bytes_per_second"]
    multiplied = (2 * weights * rows + adapter_bytes / 2) / machine["flops_per_second"]
    return max(read, multiplied)


def load_average() -> float:
    """Return how many processes wanted a core during the last minute: near 0 on an idle machine."""
    return os.getloadavg()[0]


def spread(values: list[float]) -> dict[str, Any]:
    """Return median and range."""
    return {"median": median(values), "low": min(values), "high": max(values), "runs": len(values)}


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(7):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
