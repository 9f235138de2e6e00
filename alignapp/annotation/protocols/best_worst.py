"""Best-worst scaling: the best and the worst of several; the others are not compared with each other."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation, Candidate
from alignapp.annotation.protocols.base import Given, Protocol, Unfit


class BestWorst(Protocol):
    """Stored as a ranking of three places, of which the middle one holds all others."""

    name = "best-worst"
    title = _("Best and worst")
    help = _("Say which is the best and which is the worst; the others stay between them.")
    scale = "ordinal"
    order = 22
    needs = 3
    candidate_template = "annotation/protocols/best_worst.html"

    def read(self, given: Given) -> list[Annotation]:
        best, worst = given.one(f"{self.name}.best"), given.one(f"{self.name}.worst")
        if not best and not worst:
            return []
        ids = [str(candidate.id) for candidate in given.candidates]
        if best == worst or best not in ids or worst not in ids:
            raise Unfit("Say which is the best and which is the worst: two different answers.")
        between = [one for one in ids if one not in (best, worst)]
        places = [place for place in ([best], between, [worst]) if place]
        return [given.act("ranking", self.name, f"{self.name}.best", f"{self.name}.worst", ranking=places)]

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        del candidate  # two groups of radio buttons, spread over the candidates
        ends = [
            {"field": f"{self.name}.{end}", "value": given.one(f"{self.name}.{end}"), "words": words}
            for end, words in (("best", _("Best")), ("worst", _("Worst")))
        ]
        return {"ends": ends}
