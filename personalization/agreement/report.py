"""All figures of one collection of answers, in the order in which they are read.

Knows nothing of where answers come from: the console and the benchmark ask here for the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from personalization.agreement.biases import left_figure, length_figure
from personalization.agreement.care import attention_figure, gold_figure, straight_figure, ties_figure
from personalization.agreement.contradictions import contradictions_figure
from personalization.agreement.cycles import preferences_figure
from personalization.agreement.figures import Figure
from personalization.agreement.judgements import Judgement
from personalization.agreement.kappa import kappa_figure
from personalization.agreement.pace import fast_figure, progress_figure, skips_figure, time_figure
from personalization.agreement.people import alpha_figure, concordance_figure
from personalization.agreement.ratings import own_ratings_figure, ratings_figure
from personalization.agreement.repeats import consistency_figure, taste_figure
from personalization.agreement.strengths import strengths_figure


def figures(judgements: Sequence[Judgement], *, seed: int = 0) -> list[Figure]:
    """Return every figure; one for which there is nothing yet has no rows, and says what is missing.

    Within-person reliability comes before agreement with others: low agreement is often real difference.
    Gold and attention items count only for their own figure and for how people work.
    """
    asked = [one for one in judgements if one.right is None]
    return [
        progress_figure(judgements),
        consistency_figure(asked),
        taste_figure(asked, seed=seed),
        alpha_figure(asked, seed=seed),
        concordance_figure(asked),
        kappa_figure(asked, seed=seed),
        contradictions_figure(asked),
        left_figure(asked),
        length_figure(asked),
        ratings_figure(asked),
        own_ratings_figure(asked),
        strengths_figure(asked, seed=seed),
        preferences_figure(asked, seed=seed),
        gold_figure(judgements),
        attention_figure(judgements),
        time_figure(judgements),
        fast_figure(judgements),
        straight_figure(judgements),
        skips_figure(judgements),
        ties_figure(asked),
    ]
