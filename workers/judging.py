"""A person's judge for a job: their comparisons say which of two answers they would like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalization.errors import NotEnoughData
from workers.work import Work

if TYPE_CHECKING:
    from personalization.steering.judge import Judge


def judge_for(work: Work) -> Judge:
    """Return what judges what the model writes in this job. Raises NotEnoughData where it would be chance."""
    from personalization.steering.judge import judge_of

    judge = judge_of(work.base, work.train.pairs)
    if judge is None:
        raise NotEnoughData(
            "Your comparisons do not tell yet which of two answers you would like, so what the model writes "
            "cannot be judged. Rate a few more answers.",
            missing=1,
        )
    return judge
