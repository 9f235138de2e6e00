"""Preference-oriented fine-tuning on what the person wrote. Fan et al. 2024, arXiv:2412.12865."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import AnswerLogps
from personalization.registry import Range, method


@method(
    "poft", data="edits", produces="adapter", needs_reference=True, offered=False, paper="arXiv:2412.12865"
)
def loss(
    policy: AnswerLogps,
    reference: AnswerLogps,
    *,
    beta: Annotated[float, Range(0.1, 10.0)] = 1.0,
) -> Tensor:
    """Learn an adapter from edits: find what you wrote likelier than the model that wrote first does.

    -log sigmoid(beta (log p_policy - log p_aligned)), mean log-probabilities for each token of the edited
    answer, shape (edits,). Departure from the paper: it compares with the mean of several other aligned
    models; here the aligned model is the base model itself, so an edit counts for less the more of it is
    learned, where SFT goes on.
    """
    gain = policy.sums / policy.tokens - reference.sums / reference.tokens
    return -functional.logsigmoid(beta * gain)
