"""What the tests of the losses share: the losses, some log-probabilities, and the forms that they come in."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from personalization import registry
from personalization.models.logprobs import AnswerLogps, PairLogps
from personalization.training.examples import PAIRED

ADAPTERS = [m for m in registry.all_methods() if m.produces == "adapter"]
PAIR_LOSSES = [m for m in ADAPTERS if m.data in PAIRED]

TOKENS = torch.tensor([5.0, 9.0, 3.0, 7.0, 2.0, 8.0])
POLICY = torch.tensor([-9.0, -30.0, -4.0, -12.0, -3.0, -21.0])  # three chosen, then three rejected
REFERENCE = torch.tensor([-10.0, -26.0, -5.5, -11.0, -4.0, -17.0])
nats = st.floats(-60, -0.1)


def loss(name: str, *given: object, **parameters: float) -> Tensor:
    method = registry.get(name)
    return method.function(*given, **method.resolve(parameters))


def paired(sums: Tensor, tokens: Tensor = TOKENS) -> PairLogps:
    half = len(sums) // 2
    return PairLogps(sums[:half], sums[half:], tokens[:half], tokens[half:])


def answers(
    sums: Tensor,
    wanted: list[float],
    group: list[int] | None = None,
    weight: list[float] | None = None,
    tokens: Tensor | None = None,
) -> AnswerLogps:
    n = len(wanted)
    return AnswerLogps(
        sums,
        torch.arange(1, n + 1, dtype=sums.dtype) if tokens is None else tokens.to(sums.dtype),
        torch.tensor(wanted, dtype=sums.dtype),
        torch.tensor(group or list(range(n))),
        torch.tensor(weight or [1.0] * n, dtype=sums.dtype),
    )
