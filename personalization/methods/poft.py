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

    The paper's -log sigmoid(beta (s - mean over k of s_k)), s the policy's mean log-probability for each
    token of the edited answer and s_k that of other, aligned models. Departure from the paper: there is one
    of these, the base model itself, -log sigmoid(beta (s - s_base)), so an edit counts for less the more of
    it is learned, where SFT goes on. Returns the loss of each edit, shape (edits,).
    """
    gain = policy.sums / policy.tokens - reference.sums / reference.tokens
    return -functional.logsigmoid(beta * gain)
