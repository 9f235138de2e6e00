"""One vector from what a person states: each value's direction, by its importance.

Contrastive activation addition (Rimsky et al. 2023, arXiv:2312.06681) of several directions at once:

    v = sum_k w_k d_k, scaled down where its load exceeds the limit,

d_k the direction of value k at the strength that was chosen for it, w_k what its importance is worth.
The load of a vector is the root of the sum over its layers of (norm / mean hidden norm)^2. Weighing by
importance and the limit are ours; no gradient step and no data of the person but what they state.
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
) -> tuple[dict[str, Tensor], float]:
    """Make one vector of the values you state: each one's direction, as strong as it is important to you.

    `directions` are each value's vectors by place, `norms` each place's mean hidden norm. Returns the sum
    by place and the factor that it was scaled by: 1, or less where it was longer than `max_load`.
    """
    total: dict[str, Tensor] = {}
    for places, weight in zip(directions, weights, strict=True):
        for name, vector in places.items():
            total[name] = total.get(name, 0.0) + weight * vector
    load = math.sqrt(sum((float(vector.norm()) / norms[name]) ** 2 for name, vector in total.items()))
    factor = min(1.0, max_load / load) if load > 0 else 1.0
    return {name: vector * factor for name, vector in total.items()}, factor
