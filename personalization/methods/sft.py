"""Supervised fine-tuning on what the person wrote. Ouyang et al. 2022, arXiv:2203.02155, section 3.5."""

from __future__ import annotations

from torch import Tensor

from personalization.models.logprobs import AnswerLogps
from personalization.registry import method


@method("sft", data="edits", produces="adapter", offered=False, paper="arXiv:2203.02155")
def loss(policy: AnswerLogps, _reference: AnswerLogps) -> Tensor:
    """Learn an adapter from edits: write as you did where you rewrote an answer.

    The negative mean log-probability for each token of the edited answer, shape (edits,).
    """
    return -policy.sums / policy.tokens
