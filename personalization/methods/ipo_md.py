"""Identity preference optimisation on own answers, IPO-MD. Calandriello et al. 2024, arXiv:2403.08635.

The preference model is the person's own reward, by Bradley and Terry's odds (`steering.judge`).
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "ipo_md",
    data="prompts",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2403.08635",
    draws=("mixture", "mixture"),
)
def loss(
    policy: AnswerLogps,
    reference: AnswerLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    mixture: Annotated[float, Range(0.0, 1.0)] = 0.25,  # noqa: ARG001 - read by training.online
) -> Tensor:
    """Learn an adapter from two answers written as it learns: a margin as wide as the better one is surer.

    The expectation of IPO's loss (arXiv:2310.12036, equation 17) over which of the two is preferred,
    P (h - 1 / (2 beta))^2 + (1 - P) (h + 1 / (2 beta))^2, times beta^2 and without its constant:
    (beta h - (P - 1/2))^2, h the first answer's change of summed log-probability over the base model less the
    second's, P the probability that the first is preferred. Both are drawn from the geometric mixture of
    policy and base model, of which the latter's share is `mixture`; at 0 it is online IPO. The paper draws
    which one is preferred, TRL takes the better one. Returns each pair's loss, shape (pairs,).
    """
    change = policy.sums - reference.sums
    preferred = policy.wanted[0::2].sigmoid()
    return (beta * (change[0::2] - change[1::2]) - (preferred - 0.5)).square()
