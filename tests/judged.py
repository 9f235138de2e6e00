"""Comparisons of people of known tastes, without a model, and what reward models come to on them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from personalization.evaluation.judges import judge, measure
from personalization.judging.comparisons import Comparisons
from personalization.records import Pair


def said(tastes: dict[str, list[float]], count: int = 60, seed: int = 0, noise: float = 0.3) -> Comparisons:
    """Return comparisons of people who prefer along a direction each: as many items, all judged by all."""
    draw = np.random.default_rng(seed)
    rows, people, items = [], [], []
    for person, taste in sorted(tastes.items()):
        for n in range(count):
            row = draw.normal(size=len(taste))
            sign = 1.0 if row @ np.asarray(taste) + noise * draw.normal() > 0 else -1.0
            rows.append(sign * row)
            people.append(person)
            items.append(f"item {n}")
    pairs = tuple(Pair(item, (f"{n}",), (), "a", "b") for n, item in enumerate(items))
    lengths = draw.normal(size=len(rows))
    return Comparisons(np.asarray(rows), lengths, tuple(people), tuple(items), pairs)


def results(tastes: dict[str, list[float]] | None = None, *, noise: float = 0.3) -> dict[str, Any]:
    """Return what the row of a reward model holds, for people who agree unless other tastes are given."""
    tastes = tastes or {"ann": [2.0, 1.0], "bert": [2.0, 1.0]}
    train, held_out = said(tastes, 40, noise=noise), said(tastes, 24, seed=4, noise=noise)
    judged = judge(train, held_out)
    rewards = {name: one.reward(train, np.ones(1)).as_dict() for name, one in judged.learned.items()}
    return {**measure(judged), "rewards": rewards, "learned_from": {"items": 40, "comparisons": 80}}


@cache
def usual() -> dict[str, Any]:
    """Return `results` of people who agree, made once."""
    return results()
