"""What each method needs, what there is, and how much more it takes.

Knows nothing of training: it counts records by the kind of data that a method's registry entry names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alignapp.adapters.models import MethodInfo
from alignapp.feedback.records import records_for
from alignapp.profiles import effects
from alignapp.profiles.models import InventoryAnswer
from alignapp.profiles.services import current_profile, strengths_of
from personalization.records import Records

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

# Held-out proof needs a few conversations besides those that are learned from.
MIN_CONVERSATIONS = 6
MIN_RATED_GROUPS = 6
MIN_INVENTORY_ANSWERS = 60


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far one method is from being possible for one person."""

    method: MethodInfo
    have: int
    needed: int
    unit: str  # "comparisons", "rated messages", ...
    why: str

    @property
    def missing(self) -> int:
        """How many more are needed; 0 means it can start."""
        return max(0, self.needed - self.have)

    @property
    def is_ready(self) -> bool:
        """Whether the method can start now."""
        return self.missing == 0


def readiness(person: Person) -> list[Readiness]:
    """Return every enabled method with what there is for it."""
    methods = list(MethodInfo.objects.filter(enabled=True))
    records = records_for(person)
    answers = InventoryAnswer.objects.for_person(person).count()
    acting = len(effects.acting(strengths_of(current_profile(person))))
    found = [_for_method(method, records, answers, acting) for method in methods]
    return [item for item in found if item is not None]


def _for_method(method: MethodInfo, records: Records, answers: int, acting: int) -> Readiness | None:
    if method.data == "pairs":
        conversations = len({pair.conversation for pair in records.pairs})
        if len(records.pairs) >= settings.MIN_TRAINING_PAIRS and conversations < MIN_CONVERSATIONS:
            return Readiness(
                method,
                conversations,
                MIN_CONVERSATIONS,
                _("conversations"),
                _("Some conversations are held out for the proof: nothing is tested on what it learned."),
            )
        return Readiness(
            method,
            len(records.pairs),
            settings.MIN_TRAINING_PAIRS,
            _("comparisons"),
            _("With fewer comparisons an adapter learns chance rather than you."),
        )
    if method.data == "ratings":
        groups = sum(len(set(group.scores)) > 1 for group in records.groups)
        return Readiness(
            method,
            groups,
            MIN_RATED_GROUPS,
            _("messages with answers that you rated differently"),
            _("A vector points from what you rated low to what you rated high; a quarter is held out."),
        )
    if method.data == "inventory":
        return Readiness(
            method,
            answers,
            MIN_INVENTORY_ANSWERS,
            _("answered items of the personality inventory"),
            _("Part of your answers is held out to see whether the vector predicts them."),
        )
    if method.data == "values":
        return Readiness(
            method,
            acting,
            1,
            _("stated values that can be measured in text"),
            _("What cannot be measured in text stays with the system message."),
        )
    return None  # what this version collects is not what the method learns from


def sentence(item: Readiness) -> str:
    """Return how much more is needed, in words."""
    return ngettext(
        "%(missing)d more of %(needed)d %(unit)s is needed. %(why)s",
        "%(missing)d more of %(needed)d %(unit)s are needed. %(why)s",
        item.missing,
    ) % {"missing": item.missing, "needed": item.needed, "unit": item.unit, "why": item.why}
