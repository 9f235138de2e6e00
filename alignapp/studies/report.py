"""What a study found: on held-out comparisons, does a person's own adapter beat the group's?

Knows nothing of pages. Computed from the scores that workers kept, so that it grows while jobs run, and kept
with the study until there are others: the tests draw tens of thousands of signs for each person. Per
person the interval of the paired difference is a bootstrap over the items; whether there is a difference is
asked by flipping the sign of whole items, and of all people together (Holm). Over everybody it resamples
items too: it says something of these people and of new items.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from alignapp.charts import interval_words, p_words, percent, signed
from alignapp.studies.models import Arm, Study
from personalization.statistics import Estimate, clustered_mean, clustered_share, holm, sign_flip_p_value

SIGNIFICANT = 0.05
# Fewer held-out items of a person than this decide nothing: flipping five of them, however clear they are,
# gives no p below 2 / 2^5 = 0.06.
MIN_CONVERSATIONS = 6
RULES = 1  # another number works every report out anew, where how that is done changes


@dataclass(frozen=True, slots=True)
class Outcome:
    """One held-out comparison: is each arm right (1, 0, or 0.5 for a tie)?"""

    conversation: str
    base: float
    group: float
    own: float
    others: float | None = None  # the reward model of the other people, where there is one


@dataclass(frozen=True, slots=True)
class Compared:
    """The arms on one person's comparisons, or on everybody's; `difference` is own minus group."""

    person: str  # the pseudonym; "" for everybody
    n: int
    conversations: int
    accuracy: dict[str, Estimate]  # base, group, own, and others where their reward model was asked
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
        """Return the accuracies of base, the other people, group and own in words; "" where there is none."""
        return [
            percent(self.accuracy[arm].value) if arm in self.accuracy else ""
            for arm in ("base", "others", "group", "own")
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready; an infinite end of an interval is None."""
        return {
            "person": self.person,
            "comparisons": self.n,
            "conversations": self.conversations,
            "accuracy": {arm: found.as_json() for arm, found in self.accuracy.items()},
            "own_minus_group": self.difference.as_json(),
            "p": self.p,
            "verdict": self.verdict,
        }

    @classmethod
    def of_dict(cls, told: Mapping[str, Any]) -> Compared:
        """Return what `as_dict` told."""
        return cls(
            told["person"],
            told["comparisons"],
            told["conversations"],
            {arm: Estimate.of_json(found) for arm, found in told["accuracy"].items()},
            Estimate.of_json(told["own_minus_group"]),
            told["p"],
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What is known so far; `overall` is None before anybody has both scores."""

    people: list[Compared]
    overall: Compared | None

    @property
    def words(self) -> list[str]:
        """Return what it means, the numbers over everybody, and how many people each verdict has."""
        if self.overall is None:
            return []
        if len(self.people) < 2:  # one person is no group of people who differ
            return [_numbers(self.overall)]
        return [str(_MEANS[self.overall.verdict]()), _numbers(self.overall), _each(self.people)]

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
            "reward_models": reward.results if (reward := getattr(study, "reward", None)) else None,
        }


def report_of(arms: Sequence[Arm]) -> Report:
    """Compare what was scored so far, of the arms that have an adapter of their own."""
    by_person = {arm: outcomes for arm in arms if (outcomes := outcomes_of(arm))}
    people = [_compared(str(arm.person), outcomes) for arm, outcomes in by_person.items()]
    adjusted = holm({one.person: one.p for one in people if one.conversations >= MIN_CONVERSATIONS})
    people = [replace(one, p=adjusted.get(one.person, 1.0)) for one in people]
    everything = [outcome for outcomes in by_person.values() for outcome in outcomes]
    return Report(people, _compared("", everything) if everything else None)


def kept(study: Study, arms: Sequence[Arm]) -> Report:
    """Return the report of all of a study's arms, worked out where their scores are others than before."""
    scores = [[str(arm.person), arm.group_scores, arm.own_scores, arm.judgements] for arm in arms]
    told = json.dumps([RULES, sorted(scores, key=str)], sort_keys=True)
    of = hashlib.sha256(told.encode()).hexdigest()
    if study.found.get("of") != of:
        report = report_of(arms)
        people, overall = [one.as_dict() for one in report.people], report.overall
        study.found = {"of": of, "people": people, "overall": overall.as_dict() if overall else None}
        Study.objects.filter(pk=study.pk).update(found=study.found)
    people, overall = study.found["people"], study.found["overall"]
    return Report([Compared.of_dict(one) for one in people], Compared.of_dict(overall) if overall else None)


def outcomes_of(arm: Arm) -> list[Outcome]:
    """Return the comparisons that both the group's adapter and the person's own were asked about."""
    return [
        Outcome(own[0], float(own[1]), float(group[2]), float(own[2]), _others(arm, key))
        for key, own in arm.own_scores.items()
        if (group := arm.group_scores.get(key)) is not None
    ]


def _others(arm: Arm, key: str) -> float | None:
    _conversation, judges = arm.judgements.get(key, ("", {}))
    return judges.get("others")


def _numbers(overall: Compared) -> str:
    points, difference = signed(0), overall.difference
    known = {arm: percent(found.value) for arm, found in overall.accuracy.items()}
    known["by"] = points(100 * difference.value)
    known["ends"] = interval_words(difference.low, difference.high, lambda value: points(100 * value))
    p = p_words(overall.p)
    known["p"] = p if p.startswith("<") else f"= {p}"
    words = _(
        "On answers to items that no adapter saw, people's own adapters prefer what their person preferred "
        "in %(own)s of the comparisons, the group's adapter in %(group)s, the base model in %(base)s. Own "
        "minus group, in points: %(by)s (95 %% interval: %(ends)s; p %(p)s)."
    )
    return words % known


_MEANS = {
    "own": lambda: _("These people differ enough that learning each of them alone pays."),
    "group": lambda: _(
        "What these people share says more about each of them than their own few answers do: collect more "
        "from each person before learning each of them alone."
    ),
    "open": lambda: _(
        "No difference between people's own adapters and the group's can be told with these answers. More "
        "items, judged by the same people, would."
    ),
    "few": lambda: (
        _("Too few items were held out to say anything: %(n)d are needed at least. Collect more.")
        % {"n": MIN_CONVERSATIONS}
    ),
}


def _each(people: Sequence[Compared]) -> str:
    counts = {kind: sum(one.verdict == kind for one in people) for kind in ("own", "group", "open", "few")}
    return _(
        "Person by person, all %(all)d asked together: their own is better for %(own)d, the group's for "
        "%(group)d; for %(open)d it cannot be told, and %(few)d have too few held-out items."
    ) % {**counts, "all": len(people)}


def _compared(person: str, outcomes: Sequence[Outcome]) -> Compared:
    clusters = [one.conversation for one in outcomes]
    arms = {
        "base": [one.base for one in outcomes],
        "group": [one.group for one in outcomes],
        "own": [one.own for one in outcomes],
    }
    accuracy = {name: clustered_share(right, clusters) for name, right in arms.items()}
    asked = [(one.others, one.conversation) for one in outcomes if one.others is not None]
    if asked:
        accuracy["others"] = clustered_share([right for right, _ in asked], [name for _, name in asked])
    paired = [one.own - one.group for one in outcomes]
    return Compared(
        person=person,
        n=len(outcomes),
        conversations=len(set(clusters)),
        accuracy=accuracy,
        difference=_without_false_certainty(clustered_mean(paired, clusters)),
        p=sign_flip_p_value(paired, clusters),
    )


def _without_false_certainty(found: Estimate) -> Estimate:
    """Return an estimate without an interval where every item says the same: drawn again they say it again.

    Few alike items are no certainty; how many they are the test of signs counts.
    """
    return replace(found, low=-math.inf, high=math.inf) if found.low == found.high else found
