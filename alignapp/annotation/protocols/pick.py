"""Which is best: of two (pairwise) or of several, with a tie and with "all bad"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation, Candidate
from alignapp.annotation.protocols.base import Given, Protocol, Unfit

TIE, NONE = "tie", "none"


class Pick(Protocol):
    """One of the candidates, or a tie (a ranking with one place, as in the chat), or none of them."""

    name = "pick-1-of-n"
    title = _("Which is better?")
    help = _("Pick one, say that they are alike, or that all are bad.")
    called = _("Pick the best")
    is_common = True
    scale = "nominal"
    order = 20
    needs = 2
    candidate_template = "annotation/protocols/pick.html"
    item_template = "annotation/protocols/pick_item.html"

    def read(self, given: Given) -> list[Annotation]:
        said = given.one(self.name)
        if not said:
            return []
        if said == TIE:
            together = [[str(candidate.id) for candidate in given.candidates]]
            return [given.act("ranking", self.name, ranking=together)]
        if said == NONE:
            return [given.act("pick", self.name)]
        chosen = [candidate for candidate in given.candidates if str(candidate.id) == said]
        if not chosen:
            raise Unfit("The answer that was picked is not one of these.")
        return [given.act("pick", self.name, candidate=chosen[0])]

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        del candidate  # one group of radio buttons, spread over the candidates
        return {"field": self.name, "value": given.one(self.name)}

    def is_right(self, expected: Mapping[str, Any], acts: Iterable[Annotation]) -> bool | None:
        if "said" in expected:  # a tie or none of them, which no order of the candidates changes
            said = [NONE if act.kind == "pick" and act.candidate is None else act.kind for act in acts]
            return said == [{TIE: "ranking", NONE: NONE}[expected["said"]]]
        if "best" not in expected:
            return None
        picked = [act.candidate for act in acts if act.kind == "pick"]
        return any(one is not None and one.position in expected["best"] for one in picked)
