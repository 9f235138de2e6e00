"""The weighted mean. Wortsman et al. 2022, "Model soups", arXiv:2203.05482, on adapters of one base model."""

from __future__ import annotations

from collections.abc import Sequence

from personalization.errors import AlignError
from personalization.merging.changes import Change, added
from personalization.merging.registry import way


@way("linear", paper="arXiv:2203.05482")
def linear(changes: Sequence[Change], weights: Sequence[float]) -> Change:
    """Take the weighted mean of the changes, exactly: as strong as one adapter.

    sum_i w_i D_i / sum_i w_i. On weight changes this is `cat` divided by the sum of the weights; what PEFT
    calls linear takes the mean of A and of B, whose product holds terms of one adapter's A with another's B.
    Raises AlignError where the weights add up to nothing.
    """
    total = sum(weights)
    if abs(total) < 1e-6:
        raise AlignError("The weights add up to 0, so that there is no mean. Change one of them.")
    return added(changes, [weight / total for weight in weights])
