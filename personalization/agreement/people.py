"""How far people agree with each other: alpha by protocol, and W of those that order candidates.

Knows nothing of whether they agree with themselves; `repeats` does, and says what disagreement is worth.
"""

from __future__ import annotations

from collections.abc import Sequence

from personalization.agreement.alpha import RELIABLE, TENTATIVE, krippendorff
from personalization.agreement.concordance import concordance
from personalization.agreement.figures import Figure, Row, decimals
from personalization.agreement.judgements import METRICS, Judgement, by_protocol, units
from personalization.agreement.standardised import standardised

UNJUDGED = "Nothing has been judged yet; let two people or more judge the same items, or nothing can be said."


def alpha_figure(judgements: Sequence[Judgement], *, seed: int = 0) -> Figure:
    """Return alpha for each protocol; of ratings also on each person's own scale."""
    rows, why = [], []
    for name, of_protocol in by_protocol(judgements).items():
        metric = METRICS[of_protocol[0].form]
        found = {f"{name} ({metric})": krippendorff(units(of_protocol), metric, seed=seed)}
        if metric == "interval" and found[f"{name} ({metric})"].estimate:
            own = krippendorff(units(standardised(of_protocol)), metric, seed=seed)
            found[f"{name} (interval, own scales)"] = own
        rows += [Row(label, one.estimate) for label, one in found.items() if one.estimate]
        why += [f"{label}: {one.why}" for label, one in found.items() if one.why]
    return Figure(
        "alpha",
        "Agreement beyond chance (Krippendorff's alpha)",
        " ".join(filter(None, [_alpha_words(rows), *why])) if rows or why else UNJUDGED,
        tuple(rows),
        "agreement",
        0.0,
    )


def concordance_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return Kendall's W of each protocol that orders three or more candidates."""
    rows, chances = [], []
    for name, of_protocol in by_protocol(judgements).items():
        if found := concordance(of_protocol):
            rows.append(Row(name, found.w))
            chances.append(found.by_chance)
    if not rows:
        words = (
            "No item with three or more candidates was ordered by two people, so W cannot be measured yet."
        )
        return Figure("concordance", "Alike orders (Kendall's W)", words)
    chance = sum(chances) / len(chances)
    words = (
        f"1 means that all people order the candidates of an item alike, {chance:.2f} is expected of "
        "people who draw lots; where an interval reaches down to that, make the guidelines clearer or "
        "offer candidates that differ more."
    )
    return Figure("concordance", "Alike orders (Kendall's W)", words, tuple(rows), "agreement", chance)


def _alpha_words(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    worst = min(rows, key=lambda row: row.estimate.value)
    value = decimals(worst.estimate)
    if worst.estimate.value >= RELIABLE:
        return (
            f"The lowest alpha is {value} for “{worst.label}”: people judge alike, so fewer need to judge "
            "each item."
        )
    if worst.estimate.value >= TENTATIVE:
        return (
            f"The lowest alpha is {value} for “{worst.label}”: enough for tentative conclusions, so keep "
            "the overlap."
        )
    return (
        f"The lowest alpha is {value} for “{worst.label}”: people differ, so see whether that is taste "
        "or noise before you train on all of them together or change the guidelines."
    )
