"""How cost grows: with rows, ranks, prompt lengths, and people who are known and active."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.arms import ours, written
from benchmarks.serving.limits import spread
from benchmarks.serving.people import Person, people, requests
from personalization.engine.local import LocalEngine
from personalization.models.base import BaseModel

NEW_TOKENS = 32
_BATCHES = 24


def by_rows(
    base: BaseModel, group: Sequence[Person], sizes: Sequence[int], repeats: int
) -> list[dict[str, Any]]:
    """Return tokens a second of so many people at once, everybody with adapter and vector, and of none."""
    found = []
    for rows in sizes:
        engine = LocalEngine(base, max_rows=rows)
        try:
            arms = {
                "adapters": ours(
                    engine, base, [group[i % len(group)] for i in range(rows)], (64, NEW_TOKENS)
                ),
                "plain": ours(engine, base, [None] * rows, (64, NEW_TOKENS)),
            }
            speeds: dict[str, list[float]] = {name: [] for name in arms}
            for turn in range(repeats + 1):
                for name in list(arms) if turn % 2 else reversed(list(arms)):
                    speeds[name].append(rows * NEW_TOKENS / arms[name]())
        finally:
            engine.close()
        found.append({"rows": rows} | {name: spread(values[1:]) for name, values in speeds.items()})
    return found


def by_rank(
    base: BaseModel, folder: Path, ranks: Sequence[int], rows: int, repeats: int
) -> list[dict[str, Any]]:
    """Return tokens a second of different people by the rank of their adapters, all layers."""
    found = []
    for rank in ranks:
        engine = LocalEngine(base, max_rows=rows, artifact_bytes=2**32)
        try:
            run = ours(engine, base, people(base, folder, rows, rank=rank), (64, NEW_TOKENS))
            speeds = [rows * NEW_TOKENS / run() for _ in range(repeats + 1)][1:]
        finally:
            engine.close()
        found.append({"rank": rank, "rows": rows, "tokens_per_second": spread(speeds)})
    return found


def by_prompt(
    base: BaseModel, group: Sequence[Person], lengths: Sequence[int], repeats: int
) -> list[dict[str, Any]]:
    """Return the seconds until everybody of the group, who came at once, has their first token."""
    found = []
    for length in lengths:
        engine = LocalEngine(base, max_rows=len(group))
        try:
            run = ours(engine, base, group, (length, 1))
            seconds = [run() for _ in range(repeats + 1)][1:]
        finally:
            engine.close()
        found.append({"prompt_tokens": length, "rows": len(group), "seconds": spread(seconds)})
    return found


def by_people(base: BaseModel, folder: Path, *, known: int, active: Sequence[int]) -> dict[str, Any]:
    """Return memory and time for each number of active people, of so many whose artifacts lie on disk.

    Adapters as the application trains them (the upper half of the layers). Everybody active asks at
    random; batches of sixteen, the same number for each size. The first touch of each adapter is counted.
    """
    everybody, process = people(base, folder, known, share=0.5), psutil.Process()
    size = sum(f.stat().st_size for f in everybody[0].adapter.iterdir())
    rows = []
    for count in active:
        engine = LocalEngine(base, max_rows=16)
        try:
            before, chosen = process.memory_info().rss, random.Random(count)  # noqa: S311
            seconds = []
            for batch in range(_BATCHES):
                acting = [person.acting() for person in chosen.choices(everybody[:count], k=16)]
                wanted = requests(
                    base, acting, prompt_tokens=64, new_tokens=NEW_TOKENS, first_seed=200_000 + 16 * batch
                )
                begun = time.perf_counter()
                written(engine, wanted)
                seconds.append(time.perf_counter() - begun)
            rows.append(
                {
                    "active": count, "batch_seconds": spread(seconds),
                    "megabytes": (process.memory_info().rss - before) / 2**20,
                }
            )  # fmt: skip
        finally:
            engine.close()
    return {"known": known, "adapter_bytes": size, "rows": rows}
