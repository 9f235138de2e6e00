"""Controllable generation with well-tuned controls, MEET. Xue et al. 2023, arXiv:2310.00819.

The paper was read in its abstract only; which part of an adapter is a control, and when it learns:
`personalization.training.parts`.
"""

from __future__ import annotations

from torch import Tensor

from personalization.models.logprobs import PairLogps
from personalization.registry import method


@method("meet", data="pairs", produces="adapter", offered=False, paper="arXiv:2310.00819", trained="controls")
def loss(policy: PairLogps, _reference: PairLogps) -> Tensor:
    """Learn an adapter from pairs: imitate both answers under controls of their own.

    -(s(chosen | liked control) + s(rejected | disliked control)) / 2, s an answer's mean log-probability for
    each token: fine-tuning as in `sft`, under each one's control; the liked control is what answers. The
    controls are low-rank, of the two forms that the paper names, so that what acts in the end is an ordinary
    adapter; they learn alone first. Returns the loss of each pair, shape (batch,).
    """
    return -(policy.chosen / policy.chosen_tokens + policy.rejected / policy.rejected_tokens) / 2
