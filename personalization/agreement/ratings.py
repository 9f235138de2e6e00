"""How highly each maker's answers are rated: as given, and on each person's own scale.

Knows nothing of picks and rankings. One person's 60 is another's 80, so who happened to rate a maker moves
its raw mean; on own scales (deviations from the person's mean, in their own standard deviations) it does not.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence

from personalization.agreement.figures import Figure, Row
from personalization.agreement.judgements import Judgement
from personalization.agreement.standardised import standardised
from personalization.statistics import Estimate, mean_of

RATED = ("rating", "steps")  # forms that put one value on an answer


def ratings_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return each maker's mean rating as given, by protocol, the best first."""
    title, rows = "Ratings, as given", _means(judgements)
    if not rows:
        return Figure("ratings", title, _nothing(judgements))
    words = (
        f"{_best(rows)}; people use a scale differently, so compare makers on own scales, below, "
        "before you choose one."
    )
    return Figure("ratings", title, words, tuple(rows), "points")


def own_ratings_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return each maker's mean rating in standard deviations from each person's own mean, the best first."""
    title, rows = "Ratings, on each person's own scale", _means(standardised(judgements))
    if not rows:
        return Figure("own_ratings", title, _nothing(judgements))
    raw = [row.label for row in _means(judgements)]
    same = "the order is that of the ratings as given, so either may be read"
    other = "the order is not that of the ratings as given, so read this one: there, who rated decides too"
    advice = same if raw == [row.label for row in rows] else other
    return Figure("own_ratings", title, f"{_best(rows)}; {advice}.", tuple(rows), "deviations", 0.0)


def _means(judgements: Sequence[Judgement]) -> list[Row]:
    """Return the mean of each maker and protocol, in which each item counts once. Repeats are left out."""
    given: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    rated = [one for one in judgements if one.form in RATED and not one.skipped and not one.is_repeat]
    for one in rated:
        for candidate, value in one.values.items():
            if maker := one.makers.get(candidate):
                given[f"{maker} ({one.name})"][one.item].append(value)
    rows = [Row(label, _mean(list(of_items.values()))) for label, of_items in given.items()]
    return sorted(rows, key=lambda row: (-row.estimate.value, row.label))


def _mean(by_item: Sequence[Sequence[float]]) -> Estimate:
    means = [statistics.fmean(values) for values in by_item]
    return mean_of(len(means), statistics.fmean(means), statistics.fmean(value**2 for value in means))


def _best(rows: Sequence[Row]) -> str:
    best, *others = rows
    bounds = (
        f" ({best.estimate.low:.1f} to {best.estimate.high:.1f})" if math.isfinite(best.estimate.low) else ""
    )
    lead = f"“{best.label}” is rated highest, {best.estimate.value:.1f}{bounds}"
    is_ahead = others and best.estimate.low > others[0].estimate.high
    return lead if is_ahead or not others else f"{lead}, not clearly ahead of “{others[0].label}”"


def _nothing(judgements: Sequence[Judgement]) -> str:
    if any(one.form in RATED and not one.skipped for one in judgements):
        return "It is not known who wrote the answers that were rated; say it with them to compare makers."
    return "Nothing has been rated yet; ask for ratings to see whose answers are rated highest."
