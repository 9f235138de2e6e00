"""Odds ratio preference optimisation. Hong et al. 2024, arXiv:2403.07691, equations 6 and 7."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method

LIKELIEST = -1e-6  # nats a token: an answer that is certain has infinite odds


@method("orpo", data="pairs", produces="adapter", offered=False, paper="arXiv:2403.07691")
def loss(
    policy: PairLogps,
    _reference: PairLogps,
    *,
    weight: Annotated[float, Range(0.01, 10.0)] = 1.0,
) -> Tensor:
    """Learn an adapter from pairs: write the chosen answer, and raise its odds over the rejected one's.

    -s(chosen) - weight log sigmoid(log odds(chosen) - log odds(rejected)), s an answer's mean log-probability
    for each token and odds = e^s / (1 - e^s). No reference. Returns the loss of each pair, shape (batch,).
    """
    chosen = policy.chosen / policy.chosen_tokens
    rejected = policy.rejected / policy.rejected_tokens
    gap = _log_odds(chosen) - _log_odds(rejected)
    return -chosen - weight * functional.logsigmoid(gap)


def _log_odds(logp: Tensor) -> Tensor:
    bounded = logp.clamp(max=LIKELIEST)
    return bounded - torch.log(-torch.expm1(bounded))
