"""What keys, numbers and sources are called on the pages, and what differs between two versions.

Knows nothing of requests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.services import BY_HAND
from personalization.inventory.items import ITEM_COUNT
from personalization.profiles.questions import NOT_SAID
from personalization.profiles.survey import questions, slider_words
from personalization.values.composer import OWN_SOURCE, SURVEY_SOURCE
from personalization.values.taxonomy import values

IMPORTANCE = {
    5: gettext_lazy("above all"),
    4: gettext_lazy("very important"),
    3: gettext_lazy("important"),
    2: gettext_lazy("less important"),
    1: gettext_lazy("nice to have"),
}
SECONDS_PER_ITEM = 5


def source_label(source: str) -> str:
    """Say where a line of the system message comes from."""
    if source in values():
        return _(values()[source].label)
    named = {
        OWN_SOURCE: _("your own words"),
        SURVEY_SOURCE: _("your profile"),
        BY_HAND: _("written by hand"),
    }
    return named.get(source, source)


def progress_words(answered: int) -> str:
    """Say how far the inventory is, as in "47 of 120, about 6 min"."""
    if answered >= ITEM_COUNT:
        return _("All %(count)s answered") % {"count": ITEM_COUNT}
    minutes = max(1, round((ITEM_COUNT - answered) * SECONDS_PER_ITEM / 60))
    return _("%(done)s of %(all)s, about %(minutes)s min") % {
        "done": answered,
        "all": ITEM_COUNT,
        "minutes": minutes,
    }


def chosen_rows(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (what, how important) of each stated value, the most important first."""
    known = values()
    rows = [
        (item["importance"], _(known[item["key"]].label))
        for item in content.get("chosen", [])
        if item["key"] in known
    ]
    rows += [(item["importance"], item["text"]) for item in content.get("own", [])]
    return [(text, str(IMPORTANCE[weight])) for weight, text in sorted(rows, key=lambda row: -row[0])]


def survey_rows(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (question, answer) of each answered question."""
    rows = []
    for question in questions():
        section, _dot, key = question.name.rpartition(".")
        holder = content.get(section, {}) if section else content
        if key not in holder:
            continue
        value = holder[key]
        labels = {option.key: _(option.label) for option in question.options} | {
            NOT_SAID: _("prefer not to say")
        }
        if question.kind == "slider":
            words = slider_words(value)
        elif question.kind == "many":
            words = ", ".join(labels.get(item, item) for item in value)
        else:
            words = labels.get(value, value)
        other = holder.get(f"{key}_text") or holder.get(f"{key}_other_text")
        rows.append((_(question.label), f"{words} ({other})" if other else words))
    return rows


def changes(before: ProfileVersion | None, after: ProfileVersion) -> list[str]:
    """Say in a few lines what is different in `after`."""
    return [
        *_value_changes(before.values if before else {}, after.values),
        *_survey_changes(before.survey if before else {}, after.survey),
        *_personality_changes(before.personality if before else {}, after.personality),
        *_message_changes(before, after),
    ]


def _value_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = dict(chosen_rows(before)), dict(chosen_rows(after))
    lines = [
        _("added “%(value)s” (%(importance)s)") % {"value": v, "importance": new[v]}
        for v in new
        if v not in old
    ]
    lines += [_("removed “%(value)s”") % {"value": v} for v in old if v not in new]
    lines += [
        _("“%(value)s” from %(before)s to %(after)s") % {"value": v, "before": old[v], "after": new[v]}
        for v in new
        if v in old and old[v] != new[v]
    ]
    return lines


def _survey_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = dict(survey_rows(before)), dict(survey_rows(after))
    changed = [label for label in {**old, **new} if old.get(label) != new.get(label)]
    if not changed:
        # A slider may have moved without reaching other words.
        return [] if before == after else [_("moved a slider a little")]
    if len(changed) > 4:
        return [
            ngettext("%(n)s answer of the profile", "%(n)s answers of the profile", len(changed))
            % {"n": len(changed)}
        ]
    return [_("profile: %(question)s") % {"question": label.strip("… ")} for label in changed]


def _personality_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    if before == after:
        return []
    old, new = before.get("answers", {}), after.get("answers", {})
    changed = sum(old.get(item) != new.get(item) for item in {**old, **new})
    if not changed:
        return [_("compared with another group")]
    return [
        ngettext("%(n)s answer to the inventory", "%(n)s answers to the inventory", changed) % {"n": changed}
    ]


def _message_changes(before: ProfileVersion | None, after: ProfileVersion) -> list[str]:
    was_by_hand = before is not None and before.system_edited
    if not after.system_edited:
        return [_("the message composed anew")] if was_by_hand else []
    if was_by_hand and before is not None and before.system_message == after.system_message:
        return []
    return [_("the message by hand")]


def saved_words(after: ProfileVersion, *, started: bool = False) -> str:
    """Say that a version is saved, whether the message follows, and whether the values are put to work."""
    saved = _("Saved as version %(n)s.") % {"n": after.number}
    if after.system_edited:
        more = _(
            "Your message is written by hand and stays as it is; reset it on its page to use what is new."
        )
    else:
        more = _("Your next replies are told so.")
    works = _("What can be built into the model acts within about a minute: see “Values at work”.")
    return f"{saved} {more} {works}" if started else f"{saved} {more}"


def percent_words(percentile: float) -> str:
    """Say a percentile as people."""
    return _("higher than about %(n)s of 100 people") % {"n": math.floor(percentile + 0.5)}
