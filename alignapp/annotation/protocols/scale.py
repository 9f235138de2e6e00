"""Rating from 1 to 7: seven buttons with a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation, Candidate
from alignapp.annotation.protocols.base import Given, Protocol, field_name, scores_fit


class Scale(Protocol):
    """A rating of each candidate in seven steps."""

    name = "scale-1-7"
    title = _("Rating 1 to 7")
    help = _("1 is terrible, 7 is perfect.")
    scale = "ordinal"
    order = 11
    candidate_template = "annotation/protocols/scale.html"

    def read(self, given: Given) -> list[Annotation]:
        acts = []
        for candidate in given.candidates:
            name = field_name(self.name, candidate)
            if (score := given.score(name, 1, 7)) is not None:
                acts.append(given.act("rating", self.name, name, candidate=candidate, score=score))
        return acts

    def missing(self, given: Given, acts: Sequence[Annotation]) -> str:
        return self.each_missing(given, acts)

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        return {**super().shown(given, candidate), "steps": [str(step) for step in range(1, 8)]}

    def is_right(self, expected: Mapping[str, Any], acts: Iterable[Annotation]) -> bool | None:
        return scores_fit(expected, acts)
