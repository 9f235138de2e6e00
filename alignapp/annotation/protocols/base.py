"""What a protocol is, and what a form sent for it. Knows no protocol by name, and no project."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.utils.functional import Promise

from alignapp.annotation.models import Annotation, Candidate
from alignapp.numbers import whole

DAY_MS = 24 * 3600 * 1000
INPUT_KINDS = ("keyboard", "pointer", "touch")
TEXT_CHARACTERS = 20_000
TIMINGS = "timings"  # the field in which the page says when each field was last changed, and with what


class Unfit(Exception):
    """What was sent for a protocol is not an answer to it; the message says what to do."""


@dataclass(frozen=True)
class Given:
    """What a form sent: `{field: [value, ...]}`, for these candidates as shown, under these settings.

    A protocol's field is called like it; one about a candidate adds `.` and the candidate's id, and may
    add `.` and a part.
    """

    values: Mapping[str, Sequence[str]]
    candidates: Sequence[Candidate]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def one(self, name: str) -> str:
        """Return the last value of a field, "" when there is none."""
        found = self.values.get(name) or [""]
        return str(found[-1]).strip()

    def about(self, name: str, candidate: Candidate, part: str = "") -> str:
        """Return what was said about a candidate."""
        return self.one(field_name(name, candidate, part))

    def was_touched(self, name: str) -> bool:
        """Say whether somebody moved this slider; one that stands where it stood is no answer."""
        return self.one(f"touched.{name}") == "on"

    def score(self, name: str, low: int, high: int) -> int | None:
        """Return a field as a whole number; None without one. Raises Unfit outside of [low, high]."""
        text = self.one(name)
        if not text:
            return None
        number = whole(text)
        if number is None or not low <= number <= high:
            raise Unfit(f"A rating lies between {low} and {high}.")
        return number

    def text(self, name: str) -> str:
        """Return a field's text. Raises Unfit when it is too long."""
        text = self.one(name).replace("\r\n", "\n")
        if len(text) > TEXT_CHARACTERS:
            raise Unfit(f"A text has at most {TEXT_CHARACTERS:,} characters; this one has {len(text):,}.")
        return text

    def act(self, kind: str, name: str, *fields: str, **columns: Any) -> Annotation:
        """Return an act that is not stored yet, with when and how its fields were changed last."""
        timings = [timing for one in fields or (name,) if (timing := self._timing(one))]
        duration, how = max(timings, default=(None, ""), key=lambda timing: timing[0] or 0)
        return Annotation(kind=kind, protocol=name, duration_ms=duration, input_kind=how, **columns)

    def _timing(self, name: str) -> tuple[int, str] | None:
        try:
            ms, how = json.loads(self.one(TIMINGS) or "{}")[name]
            if 0 <= int(ms) <= DAY_MS and how in INPUT_KINDS:
                return int(ms), how
        # A page of ours sends none of these.
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        return None


def field_name(name: str, candidate: Candidate, part: str = "") -> str:
    """Return the name of the field with which a protocol asks about a candidate."""
    return ".".join([name, str(candidate.id), *([part] if part else [])])


class Protocol(ABC):
    """One way to ask. A file of this folder holds one, which `protocols.found()` finds."""

    name: ClassVar[str]
    title: ClassVar[str | Promise]
    help: ClassVar[str | Promise]  # one line for annotators
    called: ClassVar[str | Promise] = ""  # in tables and lists, where the title is a question
    is_common: ClassVar[bool] = False  # most projects look for it; others are offered under "more"
    # What its values are for statistics: nominal, ordinal or interval; "none" for free text.
    scale: ClassVar[str]
    candidate_template: ClassVar[str] = ""  # asked under each candidate
    item_template: ClassVar[str] = ""  # asked once, under all of them
    order: ClassVar[int] = 50  # where it stands on the page
    needs: ClassVar[int] = 1  # how many candidates it takes
    # Lists that a manager may change, {setting: (label, default)}.
    lists: ClassVar[dict[str, tuple[str | Promise, tuple[str, ...]]]] = {}

    @property
    def label(self) -> str:
        """What people call it, away from the answers that it asks about."""
        return str(self.called or self.title)

    @abstractmethod
    def read(self, given: Given) -> list[Annotation]:
        """Return the acts that a form holds, none when it was not answered. Raises Unfit."""

    def missing(self, given: Given, acts: Sequence[Annotation]) -> str:
        """Return what is missing for a complete answer, in words; "" when nothing is."""
        del given
        return "" if acts else f"{self.title}: this is not answered yet."

    def listed(self, settings: Mapping[str, Any], key: str) -> list[str]:
        """Return a list that the project set, or what it is by default."""
        return list(settings.get(key) or self.lists[key][1])

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        """Return what the template needs, of one candidate or of the item, with what was said so far."""
        name = field_name(self.name, candidate) if candidate else self.name
        return {"field": name, "value": given.one(name), "touched": given.was_touched(name)}

    def is_right(self, expected: Mapping[str, Any], acts: Iterable[Annotation]) -> bool | None:
        """Say whether acts are what a gold item expects; None where it expects nothing of this protocol.

        `expected` names candidates by their position in the source.
        """
        del expected, acts
        return None

    def each_missing(self, given: Given, acts: Sequence[Annotation]) -> str:
        """Return which candidates are without an act, in words; "" when none is."""
        done = {act.candidate_id for act in acts}
        left = [str(n) for n, one in enumerate(given.candidates, start=1) if one.id not in done]
        return f"{self.title}: answer {', '.join(left)} has none yet." if left else ""


def scores_fit(expected: Mapping[str, Any], acts: Iterable[Annotation]) -> bool | None:
    """Say whether every score lies within `{"position": [low, high]}`; None without expectations."""
    by_position = {str(act.candidate.position): act.score or 0 for act in acts if act.candidate}
    if not expected:
        return None
    return all(
        position in by_position and low <= by_position[position] <= high
        for position, (low, high) in expected.items()
    )
