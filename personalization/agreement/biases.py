"""What else decides: where an answer stood on the screen, and how long it is.

Knows nothing of what the answers say. Intervals are over items: people tend to agree on one. The longer
answer may be the better one: its figure is no accusation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from personalization.agreement.figures import Figure, Row, listed, percent, share
from personalization.agreement.judgements import Comparison, Judgement, by_person, by_protocol, comparisons
from personalization.statistics import Estimate, holm, share_p_value

Side = Callable[
    [Comparison], int
]  # 1: the first candidate has more of it, -1: the second, 0: alike or unknown


def left_share(judgements: Sequence[Judgement]) -> Estimate | None:
    """Return how often the answer that stood first is preferred, of those decided; None without any."""
    return _share(judgements, lambda one: one.left)


def longer_share(judgements: Sequence[Judgement]) -> Estimate | None:
    """Return how often the answer with more words is preferred, of those decided; None without any."""
    return _share(judgements, _longer)


def left_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return the preference for what stands first, by protocol and by person."""
    title = "Preference for the answer on the left"
    rows = _rows(judgements, left_share, flag=True)
    if not rows:
        words = (
            "It is not known where preferred answers stood on the screen, as imported files seldom say it; "
            "answers that are given here will tell."
        )
        return Figure("left", title, words, chance=0.5)
    together = left_share(judgements)
    assert together is not None  # there are rows
    biased = [row.label for row in rows if row.flagged]
    advice = (
        f"the side decides for {listed(biased)}: keep the order random, and count their answers in both "
        "orders."
        if biased
        else "nobody can be told from a coin, all rows asked together, so there is no sign that it decides."
    )
    words = f"The answer that stands first is preferred in {percent(together)}; {advice}"
    return Figure("left", title, words, tuple(rows), chance=0.5)


def length_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return the preference for the longer answer, by protocol and by person."""
    title = "Preference for the longer answer"
    rows = _rows(judgements, longer_share, flag=False)
    if not rows:
        words = (
            "No answers of different length have been compared yet; add some to see whether length decides."
        )
        return Figure("length", title, words, chance=0.5)
    together = longer_share(judgements)
    assert together is not None  # there are rows
    if together.low > 0.5:
        advice = (
            "a model trained on this learns to write more, so show it next to a baseline that only "
            "counts words."
        )
    elif together.high < 0.5:
        advice = "a model trained on this learns to be brief, so check that it still says enough."
    else:
        advice = "length alone does not tell what is preferred."
    words = f"The longer answer is preferred in {percent(together)}; {advice}"
    return Figure("length", title, words, tuple(rows), chance=0.5)


def _rows(
    judgements: Sequence[Judgement], measure: Callable[[Sequence[Judgement]], Estimate | None], *, flag: bool
) -> list[Row]:
    groups = {**by_protocol(judgements), **by_person(judgements)}
    measured = {label: one for label, said in groups.items() if (one := measure(said))}
    chance = holm({label: share_p_value(one) for label, one in measured.items()})
    return [Row(label, one, flag and chance[label] < 0.05) for label, one in measured.items()]


def _share(judgements: Sequence[Judgement], side: Side) -> Estimate | None:
    decided = [one for one in comparisons(judgements) if one.preferred and side(one)]
    if not decided:
        return None
    return share(
        [float(one.preferred == side(one)) for one in decided], [one.judgement.item for one in decided]
    )


def _longer(one: Comparison) -> int:
    lengths = one.judgement.lengths
    more = lengths.get(one.first, 0) - lengths.get(one.second, 0)
    return (more > 0) - (more < 0)
