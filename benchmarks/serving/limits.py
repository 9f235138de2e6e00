"""What this machine can do at most, measured in the same run: bytes and products a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Work:
    """What so many rows read and write."""

    rows: int
    prompt_tokens: int
    new_tokens: int
    adapter_bytes: int  # everybody's together, in bfloat16, each multiplied for one row


def least_seconds(model: Mapping[str, int], work: Work, machine: Mapping[str, float]) -> float:
    """Return the least time for this work: all products made, and in a step all weights read once.

    model: its "weights", how many of them are its "head", which reads no prompt, and the "bytes" of all of
    them, in the fewest that hold them exactly.
    """
    read = (model["bytes"] + work.adapter_bytes) / machine["bytes_per_second"]
    step = (2 * model["weights"] * work.rows + work.adapter_bytes) / machine["flops_per_second"]
    inner = 2 * (model["weights"] - model["head"]) + work.adapter_bytes / work.rows
    prompts = inner * work.rows * work.prompt_tokens / machine["flops_per_second"]
    return prompts + work.new_tokens * max(read, step)


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(7):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
