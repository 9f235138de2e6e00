"""How cost grows: with rows, ranks, prompt lengths, and people who are known and active."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.apart import in_a_process, timed
from benchmarks.serving.arms import ours, written
from benchmarks.serving.people import Model, Person, people, requests
from benchmarks.timing import by_turns
from personalization.engine.local import LocalEngine
from personalization.engine.requests import GenerationRequest

NEW_TOKENS = 32
_BATCHES = 24


def by_rows(
    model: Model, group: Sequence[Person], sizes: Sequence[int], repeats: int
) -> list[dict[str, Any]]:
    """Return tokens a second of so many people at once, everybody with adapter and vector, and of none."""
    found = []
    for rows in sizes:
        groups: dict[str, list[Person | None]] = {
            "adapters": [group[i % len(group)] for i in range(rows)],
            "plain": [None] * rows,
        }
        ways = {name: partial(ours, model, some, (64, NEW_TOKENS), repeats) for name, some in groups.items()}
        times = timed(ways, repeats)
        found.append({"rows": rows} | {name: each.rates(rows * NEW_TOKENS) for name, each in times.items()})
    return found


def by_rank(
    model: Model, folder: Path, ranks: Sequence[int], rows: int, repeats: int
) -> list[dict[str, Any]]:
    """Return tokens a second of different people by the rank of their adapters, all layers."""
    found = []
    for rank in ranks:
        group = people(model, folder, rows, rank=rank)
        way = partial(ours, model, group, (64, NEW_TOKENS), repeats, artifact_bytes=2**32)
        times = timed({"ours": way}, repeats)["ours"]
        found.append({"rank": rank, "rows": rows, "tokens_per_second": times.rates(rows * NEW_TOKENS)})
    return found


def by_prompt(
    model: Model, group: Sequence[Person], lengths: Sequence[int], repeats: int
) -> list[dict[str, Any]]:
    """Return the seconds until everybody of the group, who came at once, has their first token."""
    found = []
    for length in lengths:
        times = timed({"ours": partial(ours, model, group, (length, 1), repeats)}, repeats)["ours"]
        found.append({"prompt_tokens": length, "rows": len(group), "seconds": times.as_dict()})
    return found


def by_people(model: Model, folder: Path, *, known: int, active: Sequence[int]) -> dict[str, Any]:
    """Return memory and time for each number of active people, of so many whose artifacts lie on disk.

    Adapters as the application trains them (the upper half of the layers). Everybody active asks at random;
    batches of sixteen, the same number for each size, in a process of its own: what one size freed, the next
    would use again, and its memory would not be seen to grow. The first touch of each adapter is counted.
    """
    everybody = people(model, folder, known, share=0.5)
    rows = [in_a_process(partial(_of_active, model, everybody[:count])) for count in active]
    size = (everybody[0].adapter / "adapter_model.safetensors").stat().st_size
    return {"known": known, "adapter_bytes": size, "rows": rows}


def _of_active(model: Model, group: Sequence[Person]) -> dict[str, Any]:
    base, process = model.base(), psutil.Process()
    chosen = random.Random(len(group))  # noqa: S311 - reproducible people
    batches = [
        requests(
            base, [person.acting() for person in chosen.choices(group, k=16)],
            prompt_tokens=64, new_tokens=NEW_TOKENS, first_seed=200_000 + 16 * batch,
        )
        for batch in range(_BATCHES)
    ]  # fmt: skip
    engine, before = model.engine(base, 16), process.memory_info().rss
    try:
        times = by_turns({"batch": partial(_next, engine, iter(batches))}, repeats=_BATCHES)["batch"]
        grown = (process.memory_info().rss - before) / 2**20
    finally:
        engine.close()
    return {"active": len(group), "batch_seconds": times.as_dict(), "megabytes": grown}


def _next(engine: LocalEngine, batches: Iterator[list[GenerationRequest]]) -> None:
    written(engine, next(batches))
