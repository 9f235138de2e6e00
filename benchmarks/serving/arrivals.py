"""How long people wait for the first word when they come at random times (Poisson arrivals)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.serving.arms import end_of, written
from benchmarks.serving.people import Model, Person, requests
from personalization.engine.requests import Finished

MOST_ROWS = 64  # that are written at once; others wait


def waiting(
    model: Model, group: Sequence[Person], *, prompt_tokens: int, new_tokens: int,
    load: float, seconds: float, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Return first-token times at `load` of the capacity, which is measured first by asking for all at once.

    Requests come for so many seconds, from one of the group after the other; all that came are counted.
    """
    base = model.base()
    engine, acting = model.engine(base, MOST_ROWS), [person.acting() for person in group]
    together = requests(
        base, acting * 3, prompt_tokens=prompt_tokens, new_tokens=new_tokens, first_seed=50_000
    )
    begun = time.perf_counter()
    written(engine, together)
    capacity = len(together) / (time.perf_counter() - begun)
    drawn, gaps, at = random.Random(seed), [], 0.0  # noqa: S311 - reproducible arrivals
    while at < seconds:
        at += drawn.expovariate(load * capacity)
        gaps.append(at)
    wanted = requests(
        base, [acting[i % len(acting)] for i in range(len(gaps))], prompt_tokens=prompt_tokens,
        new_tokens=new_tokens, first_seed=100_000,
    )  # fmt: skip
    ends: list[Finished] = []
    threads, begun = [], time.perf_counter()
    for request, moment in zip(wanted, gaps, strict=True):
        time.sleep(max(0.0, begun + moment - time.perf_counter()))
        stream = engine.submit(request)
        threads.append(threading.Thread(target=lambda s=stream: ends.append(end_of(s)), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()
    engine.close()
    first = sorted(end.seconds_to_first_token for end in ends)
    pace = sorted((end.seconds - end.seconds_to_first_token) / max(end.token_count - 1, 1) for end in ends)
    return {
        "prompt_tokens": prompt_tokens, "new_tokens": new_tokens, "load": load, "capacity": capacity,
        "requests": len(ends), "first_p50": _at(first, 0.5), "first_p95": _at(first, 0.95),
        "between_p95": _at(pace, 0.95),
    }  # fmt: skip


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
