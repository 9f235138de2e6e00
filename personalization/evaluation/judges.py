"""What reward models of several people are worth: on items, and for people, that they never saw.

Knows nothing of rows and pages. Each is beside what needs no reward model: always preferring the longer
answer (or the shorter, as the people learned from do), and saying one half of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from personalization.evaluation.calibration import COIN_BRIER, calibration
from personalization.judging import heads
from personalization.judging.comparisons import Comparisons
from personalization.judging.learn import Learned, Space, learn
from personalization.statistics import clustered_mean, clustered_share, holm, sign_flip_p_value
from personalization.steering.reward import Floats, right

WAYS: Mapping[str, heads.Way] = {"bradley_terry": heads.bradley_terry, "more": heads.more}
OTHERS = {"bradley_terry": "others", "more": "more_others"}  # the same, learned without the person
LENGTH = "length"
# What is asked together, and corrected for it (Holm).
ASKED = (
    ("bradley_terry", LENGTH), ("more", LENGTH), ("more", "bradley_terry"), ("others", LENGTH),
    ("more_others", "others"),
)  # fmt: skip
# People are left out in so many groups: each alone where there are no more of them.
GROUPS = 10


@dataclass(frozen=True)
class Judged:
    """The reward models of some comparisons, and what each says of held-out ones."""

    learned: Mapping[str, Learned]  # by WAYS
    train: Comparisons = field(repr=False)
    held_out: Comparisons = field(repr=False)
    # Of each comparison: the log-odds of what was chosen, by the name in WAYS, OTHERS, or LENGTH.
    margins: Mapping[str, Floats] = field(repr=False)

    @property
    def serves(self) -> str:
        """Return the way whose held-out items inside of what was learned from were the likeliest."""
        return min(self.learned, key=lambda name: self.learned[name].loss)


def judge(
    train: Comparisons, held_out: Comparisons, *, progress: Callable[[int, int], None] = lambda *_: None
) -> Judged:
    """Learn every reward model from `train` and ask each about `held_out`, where people may be the same.

    No item may be in both. `progress` is told how many of how many are learned, and may raise to stop.
    """
    space = Space.of(train)
    people = sorted({*train.people, *held_out.people})
    groups = [group for i in range(GROUPS) if (group := set(people[i::GROUPS]))]
    learned: dict[str, Learned] = {}
    margins = {LENGTH: _by_length(train, held_out)}
    steps, done = len(WAYS) * (1 + len(groups)), 0
    for name, way in WAYS.items():
        learned[name] = learn(way, train, space)
        margins[name] = held_out.differences @ learned[name].head
        progress(done := done + 1, steps)
        if len(people) < 2:
            continue
        margins[OTHERS[name]] = without = np.zeros(len(held_out))
        for group in groups:
            asked = [j for j, person in enumerate(held_out.people) if person in group]
            others = train.by(set(train.people) - group)
            if asked and len(set(others.items)) > 1:
                without[asked] = held_out.differences[asked] @ learn(way, others, Space.of(others)).head
            progress(done := done + 1, steps)
    return Judged(learned, train, held_out, margins)


def measure(judged: Judged) -> dict[str, Any]:
    """Return the figures of each, JSON-ready: accuracy, Brier score and calibration, and their differences.

    Intervals resample items, so they say something of these people and new items; "by_people" resamples
    people. Probabilities are as the models say them, nothing is fitted to what is held out.
    """
    held_out = judged.held_out
    return {
        "comparisons": len(held_out),
        "items": len(set(held_out.items)),
        "people": len(set(held_out.people)),
        "judges": {name: _figures(margins, held_out) for name, margins in judged.margins.items()},
        "differences": _differences(judged),
        "coin": {"accuracy": 0.5, "brier": COIN_BRIER},
        "serves": judged.serves,
        "inside": {
            name: {"loss": one.loss, "restraint": one.restraint} for name, one in judged.learned.items()
        },
    }


def _figures(margins: Floats, held_out: Comparisons) -> dict[str, Any]:
    found = calibration(margins.tolist(), held_out.items, scale=1.0)
    each = right(margins)
    surprise = np.logaddexp(0.0, -margins)
    return {
        "accuracy": clustered_share(each, held_out.items).as_dict(),
        "by_people": clustered_share(each, held_out.people).as_dict(),
        "loss": clustered_mean(surprise.tolist(), held_out.items).as_dict(),
        "calibration": found.as_dict() if found else None,
    }


def _differences(judged: Judged) -> list[dict[str, Any]]:
    """Return the paired differences of accuracy, each with the Brier scores' beside it."""
    items = judged.held_out.items
    rows: list[dict[str, Any]] = []
    for one, other in (asked for asked in ASKED if judged.margins.keys() >= set(asked)):
        first, second = judged.margins[one], judged.margins[other]
        gaps = (np.asarray(right(first)) - np.asarray(right(second))).tolist()
        briers = (_brier(first) - _brier(second)).tolist()
        rows.append(
            {
                "one": one,
                "other": other,
                "accuracy": clustered_mean(gaps, items).as_dict(),
                "brier": clustered_mean(briers, items).as_dict(),
                "p": sign_flip_p_value(gaps, items),
            }
        )
    adjusted = holm({f"{row['one']}-{row['other']}": row["p"] for row in rows})
    return [{**row, "p": adjusted[f"{row['one']}-{row['other']}"]} for row in rows]


def _brier(margins: Floats) -> Floats:
    """Return the squared distance of what each comparison's probability says from what happened."""
    found: Floats = (1.0 / (1.0 + np.exp(margins))) ** 2
    return found


def _by_length(train: Comparisons, held_out: Comparisons) -> Floats:
    """Return the margins of a model that sees the answers' lengths only, learned as the others are."""
    seen = train.seen_as(train.lengths[:, None])
    head = learn(heads.bradley_terry, seen, Space.of(seen)).head
    found: Floats = held_out.lengths * float(head[0])
    return found
