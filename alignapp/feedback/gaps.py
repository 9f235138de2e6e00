"""Said versus shown: stated values beside what the ratings imply, the gaps, and what a person says to them.

Knows nothing of pages. Nothing is changed behind a person's back: a gap changes what is stated only when
they press "I changed".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction

from alignapp.audit.services import record
from alignapp.chat.errors import Refused
from alignapp.feedback.models import GapResolution
from alignapp.feedback.records import records_for
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.services import current_profile, new_version
from personalization.values.measures import measures as text_measures
from personalization.values.shown import MIN_CONVERSATIONS, Measure, Shown, informative, shown
from personalization.values.taxonomy import Value, value_of, values

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

IMPORTANCE = 3  # of a value that the ratings brought up


@dataclass(frozen=True, slots=True)
class Gap:
    """A value that is stated and not shown, or shown and not stated."""

    kind: GapResolution.Gap
    value: Value
    shown: Shown
    importance: int = 0  # 0 when it is not stated
    echoes: tuple[Value, ...] = ()  # values whose measures say the same


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that the page tells. `missing` conversations are needed before anything can be said."""

    missing: int
    conversations: int
    said: dict[str, int]  # importance of each stated value of the taxonomy
    agreeing: list[Gap]
    gaps: list[Gap]
    undecided: list[Gap]
    unmeasured: list[Value]  # stated, and no measure of a text tells
    shown: dict[str, Shown]
    resolved: list[GapResolution]


def compare(person: Person, *, measures: Mapping[str, Measure] | None = None) -> Comparison:
    """Return stated values beside what the ratings imply."""
    measures = text_measures() if measures is None else measures
    groups = records_for(person).groups
    said = stated_values(current_profile(person))
    found = shown(groups, measures, first=said)
    enough = informative(groups)
    resolved = list(GapResolution.objects.for_person(person))
    settled = {(r.value, r.gap) for r in resolved if r.decision != GapResolution.Decision.CHANGED}
    agreeing, gaps, undecided = [], [], []
    for key, importance in said.items():
        if key not in found:
            continue
        gap = Gap(GapResolution.Gap.SAID, values()[key], found[key], importance)
        if gap.shown.direction > 0:
            agreeing.append(gap)
        elif not gap.shown.is_absent:
            undecided.append(gap)
        elif (key, gap.kind) not in settled:
            gaps.append(gap)
    kind = GapResolution.Gap.SHOWN
    more = [one for one in found.values() if one.direction > 0 and one.key not in said]
    for one in more:
        if not one.alongside and (one.key, kind) not in settled:
            echoes = tuple(values()[other.key] for other in more if other.alongside == one.key)
            gaps.append(Gap(kind, values()[one.key], one, echoes=echoes))
    return Comparison(
        missing=max(0, MIN_CONVERSATIONS - enough),
        conversations=enough,
        said=said,
        agreeing=agreeing,
        gaps=gaps,
        undecided=undecided,
        unmeasured=[values()[key] for key in said if key not in measures],
        shown=found,
        resolved=resolved,
    )


def resolve(person: Person, value: str, kind: str, decision: str, *, note: str = "") -> GapResolution:
    """Store what a person says to a gap. "I changed" also changes what is stated, as the next version.

    Raises UnknownName for a value that is none, Refused when there is no such gap or a context has no note.
    """
    known = value_of(value)
    if decision == GapResolution.Decision.CONTEXT and not note.strip():
        raise Refused("Say in a few words what it depends on.")
    gap = next((g for g in compare(person).gaps if g.value.key == known.key and g.kind == kind), None)
    if gap is None:
        raise Refused("There is no such gap (any more).")
    one = gap.shown
    evidence = {**one.correlation.as_dict(), "p": one.p, "conversations": one.conversations}
    with transaction.atomic():
        if decision == GapResolution.Decision.CHANGED:
            _restate(person, gap)
        resolution, _made = GapResolution.objects.update_or_create(
            person=person,
            value=known.key,
            gap=kind,
            defaults={"decision": decision, "note": note.strip()[:500], "evidence": evidence},
        )
        # Which value it is stays out of the record: that is for the person only.
        record(person, "gap.resolved", resolution, decision=decision, gap=kind)
    return resolution


def reopen(person: Person, resolution: GapResolution) -> None:
    """Forget what was said to a gap, so that it is listed again while it lasts."""
    with transaction.atomic():
        record(person, "gap.reopened", resolution, decision=resolution.decision, gap=resolution.gap)
        resolution.delete()


def stated_values(profile: ProfileVersion | None) -> dict[str, int]:
    """Return the importance of each stated value of the taxonomy, the most important first."""
    chosen = (profile.values if profile else {}).get("chosen", [])
    rows = [(item["key"], int(item["importance"])) for item in chosen if item["key"] in values()]
    return dict(sorted(rows, key=lambda row: -row[1]))


def _restate(person: Person, gap: Gap) -> None:
    """Take a value that is not shown out of what is stated, or state one that is."""
    profile = current_profile(person)
    content: dict[str, Any] = dict(profile.values) if profile else {}
    chosen = [item for item in content.get("chosen", []) if item["key"] != gap.value.key]
    if gap.kind == GapResolution.Gap.SHOWN:
        chosen.append({"key": gap.value.key, "importance": IMPORTANCE})
    order = list(values())
    chosen.sort(key=lambda item: order.index(item["key"]) if item["key"] in order else len(order))
    new_version(
        person,
        ProfileVersion.Section.VALUES,
        values={**content, "chosen": chosen, "own": content.get("own", [])},
    )
