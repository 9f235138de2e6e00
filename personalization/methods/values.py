"""One vector from what a person states: each value's direction, by its importance.

Contrastive activation addition (Rimsky et al. 2023, arXiv:2312.06681) of several directions at once:

    v = sum_k w_k d_k, scaled down where its load exceeds the limit,

d_k the direction of value k at the strength that was chosen for it, w_k what its importance is worth.
The load of a vector is the root of the sum over its layers of (norm / mean hidden norm)^2. Weighing by
importance and the limit are ours; no gradient step and no data of the person but what they state. Of a sum
the limit is lower: parts that are sound alone add what they cost (`benchmarks.values_together`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from torch import Tensor

from personalization.registry import Range, method

Places = Mapping[str, Tensor]  # a tensor's name, such as layer.14.output -> (hidden,)


@method("values", data="values", produces="values", paper="arXiv:2312.06681")
def composed(
    directions: Sequence[Places],
    weights: Sequence[float],
    norms: Mapping[str, float],
    *,
    max_load: Annotated[float, Range(0.05, 0.6)] = 0.4,
    together: Annotated[float, Range(0.5, 1.0)] = 0.8,
) -> tuple[dict[str, Tensor], float]:
    """Make one vector of the values you state: each one's direction, as strong as it is important to you.

    `directions` are each value's vectors by place, `norms` each place's mean hidden norm. Returns the sum
    by place and the factor that it was scaled by: 1, or less where its load exceeds `together` of `max_load`
    and that of its longest part, or `max_load`.
    """
    parts = [
        {name: weight * vector for name, vector in places.items()}
        for places, weight in zip(directions, weights, strict=True)
    ]
    total: dict[str, Tensor] = {}
    for part in parts:
        for name, vector in part.items():
            total[name] = total.get(name, 0.0) + vector
    load = _load(total, norms)
    most = min(max_load, max([together * max_load, *(_load(part, norms) for part in parts)]))
    factor = min(1.0, most / load) if load > 0 else 1.0
    return {name: vector * factor for name, vector in total.items()}, factor


def _load(places: Places, norms: Mapping[str, float]) -> float:
    return math.sqrt(sum((float(vector.norm()) / norms[name]) ** 2 for name, vector in places.items()))
