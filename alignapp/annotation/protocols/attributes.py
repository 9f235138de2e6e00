"""Ratings of single attributes on sliders, PRISM's by default (arXiv:2404.16019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation, Candidate
from alignapp.annotation.protocols.base import Given, Protocol, field_name

PRISM = ("values", "fluency", "factuality", "safety", "diversity", "creativity", "helpfulness")


class Attributes(Protocol):
    """A rating for each attribute of each candidate; the row's `attribute` says which."""

    name = "attributes-1-100"
    title = _("Attributes")
    help = _("How far does each of these hold?")
    scale = "interval"
    order = 30
    candidate_template = "annotation/protocols/attributes.html"
    lists = {"attributes": (_("Attributes, one a line"), PRISM)}

    def read(self, given: Given) -> list[Annotation]:
        acts = []
        for candidate in given.candidates:
            for attribute in self.listed(given.settings, "attributes"):
                name = field_name(self.name, candidate, slugify(attribute))
                if given.was_touched(name) and (score := given.score(name, 1, 100)) is not None:
                    columns = {"candidate": candidate, "score": score, "attribute": attribute}
                    acts.append(given.act("rating", self.name, name, **columns))
        return acts

    def missing(self, given: Given, acts: Sequence[Annotation]) -> str:
        wanted = len(given.candidates) * len(self.listed(given.settings, "attributes"))
        return f"{self.title}: {wanted - len(acts)} are not rated yet." if len(acts) < wanted else ""

    def shown(self, given: Given, candidate: Candidate | None) -> dict[str, Any]:
        rows = []
        for attribute in self.listed(given.settings, "attributes"):
            name = field_name(self.name, candidate, slugify(attribute)) if candidate else ""
            rows.append(
                {
                    "field": name,
                    "value": given.one(name),
                    "touched": given.was_touched(name),
                    "words": attribute,
                }
            )
        return {"rows": rows}
