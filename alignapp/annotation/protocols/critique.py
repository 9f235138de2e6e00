"""Critique with marked spans and error types, as in fine-grained feedback (arXiv:2306.01693)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation, Candidate
from alignapp.annotation.protocols.base import TEXT_CHARACTERS, Given, Protocol, Unfit, field_name

TYPES = ("factual error", "irrelevant", "incomplete", "incoherent", "unsafe", "style")
MOST_SPANS = 200


class Critique(Protocol):
    """What is good or bad, in words and as marked places. Offsets count characters (code points)."""

    name = "marked-spans"
    title = _("Critique")
    help = _("Mark the words that are wrong, and say why.")
    scale = "nominal"
    order = 41
    candidate_template = "annotation/protocols/critique.html"
    lists = {"types": (_("Types of errors, one a line"), TYPES)}

    def read(self, given: Given) -> list[Annotation]:
        acts = []
        for candidate in given.candidates:
            name, marks = field_name(self.name, candidate), field_name(self.name, candidate, "spans")
            text, spans = given.text(name), self._spans(given, candidate)
            if text or spans:
                columns = {"candidate": candidate, "text": text, "spans": spans or None}
                acts.append(given.act("critique", self.name, name, marks, **columns))
        return acts

    def _spans(self, given: Given, candidate: Candidate) -> list[dict[str, Any]]:
        said = given.about(self.name, candidate, "spans")
        types = self.listed(given.settings, "types")
        try:
            read = json.loads(said) if said else []
            spans = [_span(one, candidate, types) for one in read]
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            raise Unfit("A marked place does not lie in the answer. Remove it and mark it again.") from None
        if len(spans) > MOST_SPANS:
            raise Unfit(f"Mark at most {MOST_SPANS} places.")
        return sorted(spans, key=lambda span: (span["start"], span["end"], span["type"]))

    def missing(self, given: Given, acts: Sequence[Annotation]) -> str:
        del given
        return "" if acts else f"{self.title}: mark a place or write something."

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        marks = field_name(self.name, candidate, "spans") if candidate else ""
        types = self.listed(given.settings, "types")
        return {
            **super().shown(given, candidate),
            "marks": marks,
            "spans": given.one(marks) or "[]",
            "types": types,
        }


def _span(said: dict[str, Any], candidate: Candidate, types: list[str]) -> dict[str, Any]:
    start, end, kind = int(said["start"]), int(said["end"]), str(said["type"])
    if not 0 <= start < end <= len(candidate.text) or kind not in types:
        raise ValueError("not a place in this text")
    return {"start": start, "end": end, "type": kind, "note": str(said.get("note", ""))[:TEXT_CHARACTERS]}
