"""Binary classifier optimisation. Jung et al. 2024, arXiv:2404.04656, equations 8 to 12.

The weights that match the distributions of liked and disliked messages come with the answers
(`personalization.training.examples`).
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "bco", data="thumbs", produces="adapter", needs_reference=True, offered=False, paper="arXiv:2404.04656"
)
def loss(
    policy: AnswerLogps,
    reference: AnswerLogps,
    memory: dict[str, float],
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
) -> Tensor:
    """Learn an adapter from thumbs: tell liked from disliked answers by how much likelier they became.

    liked: -log sigmoid(r - shift), disliked: -weight log sigmoid(-(r - shift)), r = beta times the change of
    an answer's summed log-probability over the reference, shift the mean of r over all answers so far, which
    `memory` holds. Departure from the paper, as in TRL: that mean runs over the whole training. Returns the
    loss of each judged answer, shape (judged,).
    """
    judged = policy.wanted != 0
    reward, sign = beta * (policy.sums - reference.sums)[judged], policy.wanted[judged].sign()
    seen, mean, new = memory.get("seen", 0.0), memory.get("mean", 0.0), float(judged.sum())
    if new:
        mean += (reward.detach().mean().item() - mean) * new / (seen + new)
    memory |= {"seen": seen + new, "mean": mean}
    weight = ((sign < 0) * policy.weight[judged]) + (sign > 0)
    return -weight * functional.logsigmoid(sign * (reward - mean))
