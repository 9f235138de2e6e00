"""A thumb up or down for each candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation
from alignapp.annotation.protocols.base import Given, Protocol, Unfit, field_name


class Thumb(Protocol):
    """Good or bad, without degrees."""

    name = "thumb"
    title = _("Good or bad")
    help = _("Is this answer good?")
    is_common = True
    scale = "nominal"
    order = 12
    candidate_template = "annotation/protocols/thumb.html"

    def read(self, given: Given) -> list[Annotation]:
        acts = []
        for candidate in given.candidates:
            name = field_name(self.name, candidate)
            if said := given.one(name):
                if said not in ("1", "-1"):
                    raise Unfit("A thumb is up or down.")
                acts.append(given.act("thumb", self.name, name, candidate=candidate, thumb=int(said)))
        return acts

    def missing(self, given: Given, acts: Sequence[Annotation]) -> str:
        return self.each_missing(given, acts)

    def is_right(self, expected: Mapping[str, Any], acts: Iterable[Annotation]) -> bool | None:
        """`{"position": 1 | -1}`."""
        said = {str(act.candidate.position): act.thumb for act in acts if act.candidate}
        return all(said.get(at) == thumb for at, thumb in expected.items()) if expected else None
