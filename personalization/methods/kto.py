"""Kahneman-Tversky optimisation. Ethayarajh et al. 2024, arXiv:2402.01306, equations 7 and 8."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "kto", data="thumbs", produces="adapter", needs_reference=True, offered=False, paper="arXiv:2402.01306"
)
def loss(
    policy: AnswerLogps,
    reference: AnswerLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    liked_weight: Annotated[float, Range(0.1, 10.0)] = 1.0,
    disliked_weight: Annotated[float, Range(0.1, 10.0)] = 1.0,
) -> Tensor:
    """Learn an adapter from thumbs: liked answers gain and disliked ones lose, less and less.

    liked: 1 - sigmoid(beta (d - z)), disliked: 1 - sigmoid(beta (z - d)), d the change of an answer's summed
    log-probability over the reference and z = max(0, mean of d over answers that belong to other messages), a
    constant. As in TRL those stand in the same batch; here each message has the same one throughout. Returns
    the loss of each judged answer, shape (judged,).
    """
    change = policy.sums - reference.sums
    strange = policy.wanted == 0
    drift = change[strange].detach().mean().clamp(min=0) if strange.any() else change.new_zeros(())
    sign = policy.wanted[~strange].sign()
    weight = (sign > 0) * liked_weight + (sign < 0) * disliked_weight
    return weight * (1 - functional.sigmoid(beta * sign * (change[~strange] - drift)))
