"""What a study found: on held-out comparisons, does a person's own adapter beat the group's?

Knows nothing of pages. Computed from the scores that workers kept, so that it grows while jobs run. Per
person the interval of the paired difference is a bootstrap over the items; whether there is a difference is
asked by flipping the sign of whole items, and of all people together (Holm). Over everybody it resamples
items too: it says something of these people and of new items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from alignapp.charts import interval_words, percent, signed
from alignapp.studies.models import Arm, Study
from personalization.statistics import Estimate, clustered_mean, clustered_share, holm, sign_flip_p_value

# Fewer held-out items of a person than this decide nothing, as in a report card.
MIN_CONVERSATIONS = 5
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """One held-out comparison: is each arm right (1, 0, or 0.5 for a tie)?"""

    conversation: str
    base: float
    group: float
    own: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The arms on one person's comparisons, or on everybody's; `difference` is own minus group."""

    person: str  # the pseudonym; "" for everybody
    n: int
    conversations: int
    accuracy: dict[str, Estimate]  # base, group, own
    difference: Estimate
    p: float  # of "there is no difference", corrected for the people that were asked together

    @property
    def verdict(self) -> str:
        """Return "own", "group", "open" (no difference can be told) or "few" (too few items to say)."""
        if self.conversations < MIN_CONVERSATIONS:
            return "few"
        if self.p >= SIGNIFICANT:
            return "open"
        return "own" if self.difference.value > 0 else "group"

    @property
    def percents(self) -> list[str]:
        """Return the accuracies of base, group and own in words."""
        return [percent(self.accuracy[arm].value) for arm in ("base", "group", "own")]

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready; an infinite end of an interval is None."""
        return {
            "person": self.person,
            "comparisons": self.n,
            "conversations": self.conversations,
            "accuracy": {arm: _finite(found) for arm, found in self.accuracy.items()},
            "own_minus_group": _finite(self.difference),
            "p": self.p,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What is known so far; `overall` is None before anybody has both scores."""

    people: list[Compared]
    overall: Compared | None

    @property
    def words(self) -> str:
        """Return in a few sentences what it means."""
        return sentence(self.overall, self.people) if self.overall else ""

    def as_dict(self, study: Study) -> dict[str, Any]:
        """Return the study and what it found, JSON-ready, with people under their pseudonyms."""
        return {
            "study": str(study.pk),
            "project": str(study.project_id),
            "created_at": study.created_at.isoformat(),
            "method": study.method,
            "trained_on": study.counts,
            "split": {side: len(study.split.get(side, ())) for side in ("train", "held_out")},
            "withdrawn_at": study.withdrawn_at.isoformat() if study.withdrawn_at else None,
            "people": [one.as_dict() for one in self.people],
            "overall": self.overall.as_dict() if self.overall else None,
            "words": self.words,
        }


def report_of(arms: Sequence[Arm]) -> Report:
    """Compare what was scored so far, of the arms that have an adapter of their own."""
    by_person = {arm: outcomes for arm in arms if (outcomes := outcomes_of(arm))}
    people = [_compared(str(arm.person), outcomes) for arm, outcomes in by_person.items()]
    adjusted = holm({one.person: one.p for one in people if one.conversations >= MIN_CONVERSATIONS})
    people = [replace(one, p=adjusted.get(one.person, 1.0)) for one in people]
    everything = [outcome for outcomes in by_person.values() for outcome in outcomes]
    return Report(people, _compared("", everything) if everything else None)


def outcomes_of(arm: Arm) -> list[Outcome]:
    """Return the comparisons that both the group's adapter and the person's own were asked about."""
    return [
        Outcome(own[0], float(own[1]), float(group[2]), float(own[2]))
        for key, own in arm.own_scores.items()
        if (group := arm.group_scores.get(key)) is not None
    ]


def sentence(overall: Compared, people: Sequence[Compared]) -> str:
    """Say over everybody and person by person whether an adapter of one's own beats the group's."""
    points = signed(0)
    known = {
        "own": percent(overall.accuracy["own"].value),
        "group": percent(overall.accuracy["group"].value),
        "base": percent(overall.accuracy["base"].value),
        "by": points(100 * overall.difference.value),
        "ends": interval_words(
            overall.difference.low, overall.difference.high, lambda value: points(100 * value)
        ),
    }
    numbers = _(
        "On answers to items that no adapter saw, people's own adapters prefer what their person preferred "
        "in %(own)s of the comparisons, the group's adapter in %(group)s, the base model in %(base)s; own "
        "minus group is %(by)s points (95 %% interval %(ends)s)."
    )
    return " ".join((numbers % known, str(_MEANS[overall.verdict]()), _each(people)))


_MEANS = {
    "own": lambda: _("So these people differ enough that learning each of them alone pays."),
    "group": lambda: _(
        "So what they share says more about each of them than their own few answers do: use the group's, or "
        "collect more from each person."
    ),
    "open": lambda: _(
        "So no difference can be told with these answers: more items, judged by the same people, would."
    ),
    "few": lambda: _("That is too few items to say anything: collect more."),
}


def _each(people: Sequence[Compared]) -> str:
    counts = {kind: sum(one.verdict == kind for one in people) for kind in ("own", "group", "open", "few")}
    return _(
        "Person by person, all asked together: for %(own)d of %(all)d their own adapter is better, for "
        "%(group)d the group's, for %(open)d it cannot be told, and %(few)d have too few held-out items."
    ) % {**counts, "all": len(people)}


def _compared(person: str, outcomes: Sequence[Outcome]) -> Compared:
    clusters = [one.conversation for one in outcomes]
    arms = {
        "base": [one.base for one in outcomes],
        "group": [one.group for one in outcomes],
        "own": [one.own for one in outcomes],
    }
    paired = [one.own - one.group for one in outcomes]
    return Compared(
        person=person,
        n=len(outcomes),
        conversations=len(set(clusters)),
        accuracy={name: clustered_share(right, clusters) for name, right in arms.items()},
        difference=clustered_mean(paired, clusters),
        p=sign_flip_p_value(paired, clusters),
    )


def _finite(estimate: Estimate) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in estimate.as_dict().items()}
