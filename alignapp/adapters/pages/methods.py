"""The page "Ways to learn": by kind of feedback, what each method makes and what was measured of it.

Knows nothing of what suits a person (`pages/advice.py`), nor of what was seen here (the operators' panel).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alignapp.adapters import advice
from alignapp.adapters.models import MethodInfo
from alignapp.adapters.pages.advice import UNSOUND, amount_words, measured_words, source, wins_chart
from alignapp.adapters.pages.learning import DATA
from alignapp.adapters.pages.parts import method_label, method_source
from alignapp.adapters.readiness import Given, given_by
from personalization.adviser import Measured, is_sound

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from alignapp.accounts.models import Person
    from alignapp.charts import BarChart


@dataclass(frozen=True, slots=True)
class Way:
    """One method: what it makes, and a sentence for each amount of feedback with which it was measured."""

    info: MethodInfo
    makes: str
    measured: list[str]


@dataclass(frozen=True, slots=True)
class Kind:
    """The methods that learn from one kind of feedback, those that are on first."""

    title: str
    needs: StrOrPromise
    yours: str
    ways: list[Way]
    chart: BarChart | None


def methods_page(person: Person) -> dict[str, Any]:
    """Return the context of "Ways to learn". As many queries, however many methods there are."""
    given = given_by(person)
    kinds = list(given.messages)
    infos = [info for info in MethodInfo.objects.all() if info.data in kinds]
    rows: dict[str, list[Measured]] = defaultdict(list)
    for row in sorted(advice.table(), key=lambda row: row.amount):
        rows[row.method].append(row)
    grouped: dict[str, list[MethodInfo]] = defaultdict(list)
    for info in sorted(infos, key=lambda info: kinds.index(info.data)):
        grouped[method_source(info)].append(info)
    return {
        "kinds": [_kind(title, found, rows, given) for title, found in grouped.items()],
        "source": source(),
    }


def _kind(
    title: str, infos: Sequence[MethodInfo], rows: Mapping[str, Sequence[Measured]], given: Given
) -> Kind:
    data = infos[0].data
    ordered = sorted(infos, key=lambda info: (not info.enabled, info.name))
    return Kind(
        title=title[:1].upper() + title[1:],
        needs=DATA.get(data, data),
        yours=_yours(data, given),
        ways=[
            Way(info, method_label(info), [_words(row) for row in rows.get(info.name, ())])
            for info in ordered
        ],
        chart=_chart([row for info in ordered for row in rows.get(info.name, ())]),
    )


def _yours(data: str, given: Given) -> str:
    """Say how much feedback of a kind the person gave."""
    if data == "contrasts" and not given.states_values:
        return _("You state no values yet.")
    return _("Yours so far: %(amount)s.") % {"amount": amount_words(data, given.messages[data])}


def _words(row: Measured) -> str:
    """Say what was measured with one amount of feedback, on how many people."""
    people = ngettext("%(n)d person", "%(n)d people", len(row.people)) % {"n": len(row.people)}
    words = _("On %(people)s.") if row.taught else _("On %(people)s, without a teacher.")
    said = f"{measured_words(row, row.seconds)} {words % {'people': people}}"
    return said if is_sound(row, None) else f"{said} {UNSOUND}"


def _chart(rows: Sequence[Measured]) -> BarChart | None:
    """Draw the amount with which most methods were measured, taught or not: others do not compare."""
    counts = Counter((row.amount, row.taught) for row in rows)
    most = max(counts, key=lambda place: (counts[place], *place), default=(0, False))
    if counts[most] < 2:
        return None
    amount, _taught = most
    alike = [row for row in rows if (row.amount, row.taught) == most]
    title = _("Fresh answers that win against the base model, with %(amount)s") % {
        "amount": amount_words(alike[0].data, amount)
    }
    return wins_chart(title, [(row.method, row) for row in alike])
