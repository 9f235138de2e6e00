"""What the adviser knows of each method: measured by benchmarks, seen here, believed of a new person.

Numbers over people only; below five people nothing of what was seen here is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from django.conf import settings

from alignapp.adapters import advice
from alignapp.adapters.advice import ACTING, INSTANT
from alignapp.adapters.models import MethodInfo
from alignapp.adapters.pages.advice import NAMES, amount_words, minutes_words, wins_words
from alignapp.adapters.pages.parts import method_title
from alignapp.instant import common
from personalization.adviser import Measured, is_sound
from personalization.beliefs import LEAST_PEOPLE, Belief, Outcome, believe
from personalization.steering.shared import attack_bound


@dataclass(frozen=True, slots=True)
class Known:
    """One method. Win rates are against the base model; empty words where nothing is known."""

    name: str
    title: str
    enabled: bool | None  # None: it acts without a job
    amount: str
    measured: str
    is_sound: bool
    people: int  # here, whose outcomes count; 0 below five
    seen: str
    believed: str
    takes: str

    @property
    def says_something(self) -> bool:
        """Whether it is on, or anything is known of it."""
        return self.enabled is not False or bool(self.measured or self.seen)


def methods_page() -> dict[str, Any]:
    """Return the context of "What helps". Five queries."""
    rows = {
        row.method: row for row in sorted(advice.table(), key=lambda row: row.amount)
    }  # the most feedback stays
    outcomes, seconds = advice.others_outcomes(None), advice.seconds_here()
    belief = believe(list(rows.values()), others=outcomes)
    here: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        here[outcome.method].append(outcome)
    infos = MethodInfo.objects.filter(produces__in=ACTING).in_bulk()
    names = [name for name in NAMES if name in rows] + sorted(
        infos, key=lambda name: (name not in rows, name)
    )
    known = [_known(name, infos.get(name), rows, here[name], belief, seconds) for name in names]
    return {
        "methods": [one for one in known if one.says_something],
        "silent": [one.name for one in known if not one.says_something],
        "measured_on": advice.priors(),
        "least_people": LEAST_PEOPLE,
        "budget": minutes_words(settings.ADVICE_SECONDS),
        "start": common.standing(),
        "bound": f"{attack_bound():.2f}",
    }


def _known(
    name: str,
    info: MethodInfo | None,
    rows: Mapping[str, Measured],
    seen: Sequence[Outcome],
    belief: Belief,
    seconds: Mapping[str, float],
) -> Known:
    row = rows.get(name)
    people = len({outcome.person for outcome in seen})
    people = people if people >= LEAST_PEOPLE else 0
    took = seconds.get(name, row.seconds if row else None)
    mean, spread = belief.of(name) if row else (0.0, 0.0)
    return Known(
        name=name,
        title=method_title(info) if info else str(NAMES[name]),
        enabled=info.enabled if info else None,
        amount=amount_words(row.data, row.amount) if row else "",
        measured=wins_words(row) if row else "",
        is_sound=row is None or is_sound(row, rows.get(INSTANT)),
        people=people,
        seen=f"{fmean(outcome.win_rate.value for outcome in seen):.2f}" if people else "",
        believed=f"{mean:.2f} ± {spread:.2f}" if row else "",
        takes="" if took is None or info is None else minutes_words(took),
    )
