"""A full ranking: every candidate gets a place, and several may share one."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation, Candidate
from alignapp.annotation.protocols.base import Given, Protocol, Unfit, field_name


class Ranking(Protocol):
    """Places without a preset order: a ranking that nobody made cannot be sent by accident."""

    name = "places-with-ties"
    title = _("Ranking")
    help = _("Give every answer a place; answers that are alike may share one.")
    is_common = True
    scale = "ordinal"
    order = 21
    needs = 2
    candidate_template = "annotation/protocols/ranking.html"

    def read(self, given: Given) -> list[Annotation]:
        places: dict[int, list[str]] = {}
        fields = [field_name(self.name, candidate) for candidate in given.candidates]
        for candidate, name in zip(given.candidates, fields, strict=True):
            if (place := given.score(name, 1, len(fields))) is not None:
                places.setdefault(place, []).append(str(candidate.id))
        placed = sum(len(ids) for ids in places.values())
        if not placed:
            return []
        if placed < len(fields):
            raise Unfit(f"{placed} of {len(fields)} answers have a place; give the others one too.")
        return [given.act("ranking", self.name, *fields, ranking=[places[at] for at in sorted(places)])]

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        places = [str(place) for place in range(1, len(given.candidates) + 1)]
        return {**super().shown(given, candidate), "places": places}
