"""The one way to change what a person states: the next immutable version, with its system message.

Knows nothing of forms. A message that the person wrote by hand stays theirs: later changes of values or
profile do not overwrite it, and the pages say so; `reset_message` composes it anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from alignapp.profiles.effects import left_off
from alignapp.profiles.models import ProfileVersion
from personalization.values.composer import Composed, compose, stated
from personalization.values.effects import WORTH

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

ATTEMPTS = 8  # of people changing themselves in several places at once
CONTENT = ("values", "personality", "survey")
BY_HAND = "by_hand"  # the source of a line that no statement made


def current_profile(person: Person) -> ProfileVersion | None:
    """Return what the person states now. Executes a query."""
    return ProfileVersion.objects.for_person(person).first()


def new_version(person: Person, section: str, **content: Any) -> ProfileVersion:
    """Make the next version from the current one and `content`: values, personality, survey, system_message.

    Returns the current version where nothing changes. Two at once get two numbers, and neither change is
    lost: who comes second starts from the first one's version.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return _next(current_profile(person), person, section, content)
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def strengths_of(version: ProfileVersion | None) -> dict[str, float]:
    """Return how strongly each picked value is to act, 0 to 1.5: as it was set, or by its importance.

    A value whose direction was not measured to work acts only where it was set.
    """
    chosen = version.values.get("chosen", []) if version else []
    off = left_off() if chosen else set()
    worth = {item["key"]: 0.0 if item["key"] in off else WORTH[item["importance"]] for item in chosen}
    return {item["key"]: item.get("strength", worth[item["key"]]) for item in chosen}


def set_strengths(person: Person, strengths: Mapping[str, float]) -> ProfileVersion | None:
    """Set how strongly picked values act, as the next version; others stay as they are."""
    current = current_profile(person)
    if current is None:
        return None
    chosen = [
        {**item, "strength": strengths[item["key"]]} if item["key"] in strengths else item
        for item in current.values.get("chosen", [])
    ]
    return new_version(person, ProfileVersion.Section.VALUES, values={**current.values, "chosen": chosen})


def reset_message(person: Person) -> ProfileVersion | None:
    """Compose the message anew from what is stated, instead of the one written by hand."""
    current = current_profile(person)
    if current is None:
        return None
    return new_version(person, ProfileVersion.Section.MESSAGE, system_message=composed_of(current).text)


def composed_of(version: ProfileVersion | None, *, values: dict[str, Any] | None = None) -> Composed:
    """Return the message that a version's statements make, or that they would make with other values."""
    survey = version.survey if version else {}
    if values is None:
        values = version.values if version else {}
    return compose(*stated(values), survey)


def _next(
    current: ProfileVersion | None, person: Person, section: str, content: dict[str, Any]
) -> ProfileVersion:
    after = ProfileVersion(
        person=person, number=current.number + 1 if current else 1, changed_section=section
    )
    for name in CONTENT:
        setattr(after, name, content.get(name, getattr(current, name, {})))
    composed = composed_of(after)
    if "system_message" in content:
        text = content["system_message"]
    elif current and current.system_edited:
        text = current.system_message
    else:
        text = composed.text
    after.system_message = text
    after.system_edited = text != composed.text
    after.system_lines = _lines(text, composed)
    if current and not _differs(current, after):
        return current
    after.save(force_insert=True)
    return after


def _lines(text: str, composed: Composed) -> list[dict[str, str]]:
    """Name the source of each line; a line that the composer would not have made is by hand."""
    if text == composed.text:
        return [line.as_dict() for line in composed.lines]
    sources = {line.text: line.source for line in composed.lines}
    opening = composed.text.partition("\n")[0]
    found = []
    for line in text.splitlines():
        words = line.removeprefix("- ").strip()
        if words and line != opening:
            found.append({"text": words, "source": sources.get(words, BY_HAND)})
    return found


def _differs(before: ProfileVersion, after: ProfileVersion) -> bool:
    names = (*CONTENT, "system_message", "system_lines", "system_edited")
    return any(getattr(before, name) != getattr(after, name) for name in names)
