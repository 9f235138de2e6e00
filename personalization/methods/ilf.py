"""Imitation learning from language feedback. Scheurer et al. 2023, arXiv:2303.16755, algorithm 1, step 3.

How critiques become pairs of a revised answer and the one before it: `personalization.training.revise`.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional

from personalization.models.logprobs import PairLogps
from personalization.registry import Range, method


@method(
    "ilf",
    data="critiques",
    produces="adapter",
    needs_reference=True,
    offered=False,
    paper="arXiv:2303.16755",
)
def loss(
    policy: PairLogps,
    reference: PairLogps,
    *,
    beta: Annotated[float, Range(0.01, 1.0)] = 0.1,
    imitation: Annotated[float, Range(0.0, 10.0)] = 0.2,
) -> Tensor:
    """Learn an adapter from what you say of answers, beside your comparisons: write as you asked.

    -imitation log p(better) / tokens - log sigmoid(beta (d(better) - d(worse))), d the change over the
    reference. The paper imitates the revised answer alone; that it is preferred to the one that was
    criticised is ours (with both terms as in Pang et al. 2024, arXiv:2404.19733, equation 1). Returns the
    loss of each pair, shape (batch,).
    """
    margin = (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)
    imitated = -policy.chosen / policy.chosen_tokens
    return imitation * imitated - functional.logsigmoid(beta * margin)
