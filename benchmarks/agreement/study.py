"""What is compared with published figures, and two questions that only these files can answer.

Knows nothing of pages.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import permutations
from typing import Any

from benchmarks.agreement.data import ANNOTATORS, Marked
from personalization.agreement.figures import finite
from personalization.agreement.judgements import Judgement, comparisons
from personalization.agreement.kappa import Kappa
from personalization.statistics import clustered_mean, wilson

# The README of WeOpenML/PandaLM at 05ad95b, of the whole test set (999 rows; ours are 500 of them).
KAPPAS = {
    ("annotator1", "annotator2"): 0.85,
    ("annotator1", "annotator3"): 0.88,
    ("annotator2", "annotator3"): 0.86,
}
LABELS = {0: 105, 1: 422, 2: 472}
BANDS = {"none": (0, 0), "one or two": (1, 2), "three or more": (3, 10_000)}


def published(measured: Sequence[Kappa], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return PandaLM's kappas and label shares beside the published ones."""
    by_people = {one.people: one.estimate for one in measured}
    kappa = [
        {"people": list(people), "published": value, "ours": finite(estimate)}
        for people, value in KAPPAS.items()
        if (estimate := by_people.get(people))
    ]
    majority = Counter(_majority([row[name] for name in ANNOTATORS]) for row in rows)
    labels = [
        {
            "label": label,
            "published": count / sum(LABELS.values()),
            "ours": finite(wilson(majority[label], len(rows))),
        }
        for label, count in LABELS.items()
    ]
    return {"kappa": kappa, "labels": labels}


def orders(judgements: Sequence[Judgement]) -> dict[str, int]:
    """Return of how many items all comparisons of two fit one order with ties: somebody without cycles."""
    by_item: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for one in comparisons(judgements):
        by_item[one.judgement.item][one.first, one.second] = one.preferred
    fit = sum(_has_order(outcomes) for outcomes in by_item.values())
    return {"items": len(by_item), "with_order": fit}


def errors_against_wins(questions: Sequence[Marked]) -> dict[str, Any]:
    """Return how often the first prediction beats others, by how many errors were marked in it."""
    found = {}
    for band, (least, most) in BANDS.items():
        inside = [(n, one) for n, one in enumerate(questions) if least <= one.errors <= most]
        scores = [score for _n, one in inside for score in one.outcomes]
        if scores:
            found[band] = finite(clustered_mean(scores, [n for n, one in inside for _ in one.outcomes]))
    return found


def _majority(labels: Sequence[int]) -> int | None:
    label, count = Counter(labels).most_common(1)[0]
    return label if count > 1 else None


def _has_order(outcomes: dict[tuple[str, str], int]) -> bool:
    """Say whether no preference runs against the others: ties are as good as no preference."""
    names = sorted({name for pair in outcomes for name in pair})
    for order in permutations(names):
        place = {name: at for at, name in enumerate(order)}
        if all(not won or (place[a] < place[b]) == (won > 0) for (a, b), won in outcomes.items()):
            return True
    return False
