"""Rating on a slider from 1 to 100 whose number nobody sees, as in PRISM (arXiv:2404.16019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation
from alignapp.annotation.protocols.base import Given, Protocol, field_name, scores_fit


class Slider(Protocol):
    """A rating of each candidate; a slider that nobody touched is no rating."""

    name = "slider-1-100"
    title = _("Rating")
    help = _("From terrible to perfect.")
    is_common = True
    scale = "interval"
    order = 10
    candidate_template = "annotation/protocols/slider.html"

    def read(self, given: Given) -> list[Annotation]:
        acts = []
        for candidate in given.candidates:
            name = field_name(self.name, candidate)
            if given.was_touched(name) and (score := given.score(name, 1, 100)) is not None:
                acts.append(given.act("rating", self.name, name, candidate=candidate, score=score))
        return acts

    def missing(self, given: Given, acts: Sequence[Annotation]) -> str:
        return self.each_missing(given, acts)

    def is_right(self, expected: Mapping[str, Any], acts: Iterable[Annotation]) -> bool | None:
        return scores_fit(expected, acts)
