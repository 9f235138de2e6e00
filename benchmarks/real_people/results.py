"""Folds summed up: each arm's share with its interval over people, the declared differences, the cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from personalization.statistics import (
    MOST_FEASIBLE,
    NORMAL,
    Z,
    clustered_mean,
    clustered_share,
    holm,
    more_comparisons,
    sign_flip_p_value,
)

ARMS = ("longer", "base", "in_context", "others", "random", "own", "shrunk")
READINGS = ("in_context_likelihood", "own_likelihood")
# Declared before any result; the three p values are adjusted together.
DECLARED = (("own", "base"), ("own", "others"), ("own", "random"))


def people_needed(values: Sequence[float], people: Sequence[str], *, power: float = 0.8) -> int | None:
    """Return how many people of this kind would tell the mean from 0, taking it and its spread as true.

    ((z_0.975 + z_power) s / mean)^2, s the standard deviation of the people's means. None: fewer than two
    people, a mean that is not above 0, or more than anybody would ask. At least two.
    """
    sums: dict[str, list[float]] = {}
    for value, person in zip(values, people, strict=True):
        sums.setdefault(person, []).append(value)
    means = [sum(each) / len(each) for each in sums.values()]
    centre = sum(means) / len(means)
    if len(means) < 2 or centre <= 0:
        return None
    spread = math.sqrt(sum((m - centre) ** 2 for m in means) / (len(means) - 1))
    needed = ((Z + NORMAL.inv_cdf(power)) * spread / centre) ** 2
    return max(2, math.ceil(needed)) if needed <= MOST_FEASIBLE else None


def summary(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return arms, declared differences with Holm's p values, and each person's shares."""
    people = [fold["person"] for fold in folds for _ in fold["outcomes"]["own"]]

    def all_of(arm: str) -> list[float]:
        return [value for fold in folds for value in fold["outcomes"][arm]]

    own = clustered_share(all_of("own"), people)
    differences: dict[str, Any] = {}
    for one, other in DECLARED:
        gaps = [a - b for a, b in zip(all_of(one), all_of(other), strict=True)]
        differences[f"{one} - {other}"] = {
            **finite(clustered_mean(gaps, people).as_dict()),
            "p": sign_flip_p_value(gaps, people),
            "people_needed": people_needed(gaps, people),
        }
    adjusted = holm({name: row["p"] for name, row in differences.items()})
    for name, row in differences.items():
        row["p_holm"] = adjusted[name]
    return {
        "arms": {arm: clustered_share(all_of(arm), people).as_dict() for arm in (*ARMS, *READINGS)},
        "differences": differences,
        "more_pairs": more_comparisons(own),
        "own_helps": own.value > 0.5,
        "pairs": len(people),
        "folds": len(folds),
        "people": {
            person: {
                "pairs": people.count(person),
                **{arm: _share(folds, person, arm) for arm in ("base", "others", "own")},
            }
            for person in dict.fromkeys(people)
        },
    }


def _share(folds: Sequence[Mapping[str, Any]], person: str, arm: str) -> float:
    values = [value for fold in folds if fold["person"] == person for value in fold["outcomes"][arm]]
    return sum(values) / len(values)


def finite(row: Mapping[str, float]) -> dict[str, float | None]:
    """Replace what JSON cannot hold by None."""
    return {key: value if math.isfinite(value) else None for key, value in row.items()}
