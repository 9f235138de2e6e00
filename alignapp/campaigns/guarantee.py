"""Which versions of a campaign help, at a stated share of wrong ones over all people: a second opinion.

A campaign switches on person by person (`outcomes`). Here all its versions that passed the safety gate are
looked at together, beside versions whose truth is known because their people judged fresh answers blind.
Promises what it does as far as those people are like the others: whoever judges chooses to. Changes nothing.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from alignapp.adapters.models import WORTH, Judgement
from alignapp.campaigns.models import Campaign, Enrolment
from personalization.promotion import promoted_by_best

LEVEL = 0.2  # the share of wrong ones among those named, on average: as in `benchmarks.adviser`
FEWEST_KNOWN = ceil(1 / LEVEL) - 1  # with fewer nobody can be named, whatever the numbers are
FEWEST_JUDGED = 6  # blind comparisons of one version
MOST_JUDGED = 5000  # blind comparisons, of the latest versions
MEASURED = "report_card__results__accuracy__artifact"
Scores = tuple[float, float]
Of = Enrolment.State
PASSED = (Of.MOVED, Of.READY, Of.NOT_PROVEN, Of.LOST)


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Whose versions help, of how many that are through, by how many versions of known truth."""

    named: list[Enrolment]
    candidates: int
    known: int
    helped: int  # of the known ones

    level: float = LEVEL
    fewest_known: int = FEWEST_KNOWN

    @property
    def is_told(self) -> bool:
        """Whether there is enough to name anybody."""
        return self.known >= FEWEST_KNOWN and self.candidates > 0


def guaranteed(campaign: Campaign) -> Guarantee:
    """Return whose versions can be said to help. At most three queries, however many people."""
    fields = ("pk", "job__artifact", "job__artifact__kind", f"job__artifact__{MEASURED}")
    own = list(campaign.enrolments.filter(state__in=PASSED, job__artifact__isnull=False).values_list(*fields))
    candidates = [(row[0], scores) for row in own if (scores := _scores(row[3]))]
    known = _known({row[2] for row in own}, [row[1] for row in own]) if candidates else []
    places = promoted_by_best(
        [scores for _, scores in candidates],
        [scores for scores, _ in known],
        [helped for _, helped in known],
        level=LEVEL,
    )
    named = campaign.enrolments.filter(pk__in=[candidates[i][0] for i in places]).select_related("person")
    helped = sum(helped for _, helped in known)
    return Guarantee(list(named) if places else [], len(candidates), len(known), helped)


def _known(kinds: set[str], without: Sequence[uuid.UUID]) -> list[tuple[Scores, bool]]:
    """Return what is known of versions of these kinds: scores, and whether they won more than half."""
    judged = Judgement.objects.filter(artifact__kind__in=kinds).exclude(artifact__in=without)
    latest = judged.order_by("-artifact__created_at", "artifact")
    outcomes: dict[uuid.UUID, list[float]] = defaultdict(list)
    measured: dict[uuid.UUID, Scores | None] = {}
    fields = ("artifact", "answer", f"artifact__{MEASURED}")
    for pk, answer, found in latest.values_list(*fields)[:MOST_JUDGED]:
        outcomes[pk].append(WORTH[answer])
        measured[pk] = _scores(found)
    return [
        (scores, sum(some) > len(some) / 2)
        for pk, some in outcomes.items()
        if len(some) >= FEWEST_JUDGED and (scores := measured[pk])
    ]


def _scores(found: dict[str, float] | None) -> Scores | None:
    """Return how often held-out choices were preferred, and the lower end of its interval; None unknown."""
    if not found or found.get("value") is None:
        return None
    return (found["value"], found.get("low") or 0.0)
