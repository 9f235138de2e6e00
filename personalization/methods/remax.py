"""ReMax: REINFORCE with the greedy answer's reward as baseline. Li et al. 2023, arXiv:2310.10505.

The reward is the person's own (`personalization.steering.judge`), in log-odds of being preferred.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method

MOST = 5.0  # of an advantage, as in the authors' code


@method(
    "remax",
    data="prompts",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2310.10505",
    draws=("policy", "greedy"),
)
def loss(
    policy: AnswerLogps, reference: AnswerLogps, *, beta: Annotated[float, Range(0.0, 1.0)] = 0.05
) -> Tensor:
    """Learn an adapter from answers written as it learns: more of what is better than its likeliest answer.

    The paper's estimator, the sum over y's tokens of grad log p(token) (r(y) - r(greedy)), as a loss that is
    also charged for drifting: -(r(y) - r(greedy) - beta d) log p(y), the advantage at most 5 either way, d
    the change of y's summed log-probability over the base model; the factor is a constant. Departure from the
    authors' code, which divides by how many tokens there are and charges each token's own d alone: d is the
    whole answer's, as in TRL's RLOO, so that its term is in the mean the gradient of the divergence. Returns
    the loss of each answer, shape (answers,).
    """
    change = policy.sums.detach() - reference.sums
    return -(policy.wanted.clamp(-MOST, MOST) - beta * change) * policy.sums
