"""What each method needs, what there is, and how much more it takes.

Knows nothing of training: it counts records by the kind of data that a method's registry entry names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alignapp.adapters import options
from alignapp.adapters.models import MethodInfo
from alignapp.feedback.records import records_for
from alignapp.profiles import effects
from alignapp.profiles.models import InventoryAnswer
from alignapp.profiles.services import current_profile, strengths_of
from personalization.records import Record, Records

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

# Held-out proof needs a few conversations besides those that are learned from.
MIN_CONVERSATIONS = 6
MIN_RATED_GROUPS = 6
MIN_THUMBS = 16
MIN_EDITS = 8
MIN_WORDS = 6  # critiques and next messages: some of the pairs that they make are dropped
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


@dataclass(frozen=True, slots=True)
class Given:
    """What one person gave so far."""

    records: Records
    answers: int  # items of the inventory
    acting: int  # stated values that can be measured in text
    states_values: bool
    min_pairs: int  # below which no adapter is trained

    @property
    def messages(self) -> dict[str, int]:
        """How many messages have feedback of each kind, however much of it: what benchmarks count, too."""
        records = self.records
        compared = _messages(records.pairs)
        return {
            "ratings": sum(len(set(group.scores)) > 1 for group in records.groups),
            "pairs": compared,
            "choices": compared,
            "prompts": compared,  # that judge what the model writes
            "contrasts": compared if self.states_values else 0,
            "thumbs": _messages(records.thumbs),
            "edits": len(records.edits),
            # Learned from beside comparisons, which must be as many.
            "critiques": min(compared, _messages((*records.critiques, *records.follow_ups))),
        }


def _messages(records: Sequence[Record]) -> int:
    return len({(record.conversation, record.prompt) for record in records})


def given_by(person: Person) -> Given:
    """Return what a person gave so far."""
    profile = current_profile(person)
    return Given(
        records_for(person),
        InventoryAnswer.objects.for_person(person).count(),
        len(effects.acting(strengths_of(profile))),
        bool(profile and profile.system_message),
        options.value("jobs.min_pairs"),
    )


def readiness(person: Person, given: Given | None = None) -> list[Readiness]:
    """Return every enabled method with what there is for it; `given` saves asking for it again."""
    given = given or given_by(person)
    # Of what this version does not collect nothing can be learned.
    methods = [method for method in MethodInfo.objects.filter(enabled=True) if method.data in _BY_DATA]
    return [_BY_DATA[method.data](method, given) for method in methods]


def _pairs(method: MethodInfo, given: Given) -> Readiness:
    pairs = given.records.pairs
    if len(pairs) >= given.min_pairs and (unproven := _to_prove_on(method, given)):
        return unproven
    return Readiness(
        method,
        len(pairs),
        given.min_pairs,
        _("comparisons"),
        _("With fewer comparisons an adapter learns chance rather than you."),
    )


def _contrasts(method: MethodInfo, given: Given) -> Readiness:
    if given.states_values:
        return _pairs(method, given)
    return Readiness(
        method, 0, 1, _("stated values"), _("They tell what is yours from what would please anybody.")
    )


def _thumbs(method: MethodInfo, given: Given) -> Readiness:
    up = sum(thumb.desirable for thumb in given.records.thumbs)
    fewer = min(up, len(given.records.thumbs) - up)
    if 2 * fewer >= MIN_THUMBS and (unproven := _to_prove_on(method, given)):
        return unproven
    return Readiness(
        method,
        2 * fewer,
        MIN_THUMBS,
        _("thumbs, as many down as up"),
        _("It takes both to tell what you like from what you do not."),
    )


def _ratings(method: MethodInfo, given: Given) -> Readiness:
    return Readiness(
        method,
        sum(len(set(group.scores)) > 1 for group in given.records.groups),
        MIN_RATED_GROUPS,
        _("messages with answers that you rated differently"),
        _("A vector points from what you rated low to what you rated high; a quarter is held out.")
        if method.produces == "vector"
        else _("It learns the order of your ratings; a quarter is held out."),
    )


def _edits(method: MethodInfo, given: Given) -> Readiness:
    edits = len(given.records.edits)
    if edits >= MIN_EDITS and (unproven := _to_prove_on(method, given)):
        return unproven
    return Readiness(
        method, edits, MIN_EDITS, _("answers that you rewrote"), _("It learns to write as you did.")
    )


def _critiques(method: MethodInfo, given: Given) -> Readiness:
    words = len(given.records.critiques) + len(given.records.follow_ups)
    # The model's new answers are checked by comparisons, and learned from beside them.
    if words >= MIN_WORDS:
        return _pairs(method, given)
    return Readiness(
        method,
        words,
        MIN_WORDS,
        _("critiques, or messages with which you went on,"),
        _("The model answers again as you said, and learns what your comparisons agree with."),
    )


def _inventory(method: MethodInfo, given: Given) -> Readiness:
    return Readiness(
        method,
        given.answers,
        MIN_INVENTORY_ANSWERS,
        _("answered items of the personality inventory"),
        _("Part of your answers is held out to see whether the vector predicts them."),
    )


def _values(method: MethodInfo, given: Given) -> Readiness:
    return Readiness(
        method,
        given.acting,
        1,
        _("stated values that can be measured in text"),
        _("What cannot be measured in text stays with the system message."),
    )


def _to_prove_on(method: MethodInfo, given: Given) -> Readiness | None:
    """Return what is missing where too few conversations hold comparisons: they are what a proof asks."""
    conversations = len({pair.conversation for pair in given.records.pairs})
    if conversations >= MIN_CONVERSATIONS:
        return None
    return Readiness(
        method,
        conversations,
        MIN_CONVERSATIONS,
        _("conversations") if method.data in _COMPARED else _("conversations with comparisons"),
        _("Some conversations are held out for the proof: nothing is tested on what it learned."),
    )


_COMPARED = ("pairs", "contrasts", "critiques", "choices", "prompts")  # kinds that are told by comparisons
_BY_DATA = {
    "pairs": _pairs,
    "contrasts": _contrasts,
    "thumbs": _thumbs,
    "ratings": _ratings,
    "edits": _edits,
    "critiques": _critiques,
    "choices": _pairs,
    "prompts": _pairs,  # the comparisons judge what the model writes
    "inventory": _inventory,
    "values": _values,
}


def sentence(item: Readiness) -> str:
    """Return how much more is needed, in words."""
    return ngettext(
        "%(missing)d more of %(needed)d %(unit)s is needed. %(why)s",
        "%(missing)d more of %(needed)d %(unit)s are needed. %(why)s",
        item.missing,
    ) % {"missing": item.missing, "needed": item.needed, "unit": item.unit, "why": item.why}
