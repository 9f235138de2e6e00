"""Nash learning from human feedback by mirror descent, Nash-MD-PG. Munos et al. 2023, arXiv:2312.00886.

The preference model is the person's own reward, by Bradley and Terry's odds (`steering.judge`).
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "nash_md",
    data="prompts",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2312.00886",
    draws=("policy", "mixture"),
)
def loss(
    policy: AnswerLogps,
    reference: AnswerLogps,
    *,
    tau: Annotated[float, Range(0.0, 1.0)] = 0.02,
    mixture: Annotated[float, Range(0.0, 1.0)] = 0.25,  # noqa: ARG001 - read by training.online
) -> Tensor:
    """Learn an adapter from answers written as it learns: be preferred to yourself, held back.

    The paper's policy gradient, grad log p(y) (P(y before y') - 1/2 - tau log(p(y) / p_ref(y))), as a loss:
    -(P - 1/2 - tau d) log p(y), P the probability that the policy's answer y is preferred to y' of the
    geometric mixture of policy and base model, of which the latter's share is `mixture`, and d the change of
    y's summed log-probability over the base model; the factor is a constant. d is the whole answer's, so that
    its term is in the mean the gradient of the divergence; TRL's trainer charged each token's own. Returns
    the loss of each answer, shape (answers,).
    """
    change = policy.sums.detach() - reference.sums
    return -(policy.wanted.sigmoid() - 0.5 - tau * change) * policy.sums
