"""The answer as the annotator would have wanted it: beside the original it is a pair to learn from."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation, Candidate
from alignapp.annotation.protocols.base import Given, Protocol, field_name


class Edit(Protocol):
    """A text of one's own; one that says the same as the candidate is no edit."""

    name = "edited-answer"
    title = _("Better answer")
    help = _("Change it into what you would have wanted.")
    scale = "none"
    order = 40
    candidate_template = "annotation/protocols/edit.html"

    def read(self, given: Given) -> list[Annotation]:
        acts = []
        for candidate in given.candidates:
            name = field_name(self.name, candidate)
            text = given.text(name)
            if text and text != candidate.text.strip():
                acts.append(given.act("edit", self.name, name, candidate=candidate, text=text))
        return acts

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        shown = super().shown(given, candidate)
        return {**shown, "text": shown["value"] or (candidate.text if candidate else "")}
