"""Scores of the inventory as charts and words. Knows nothing of how they are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from alignapp.charts import Bar, BarChart, Scale, bar_chart, plain
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.wording import percent_words
from personalization.inventory.items import DOMAINS
from personalization.inventory.meaning import Meaning, meanings

T_SCALE = Scale(low=20, high=80, origin=50, reference=50, ticks=7, number=plain())


@dataclass(frozen=True, slots=True)
class Row:
    """One scale in words."""

    meaning: Meaning
    level: str
    sentence: str
    percentile: str
    answered: int
    asked: int


@dataclass(frozen=True, slots=True)
class DomainResult:
    """One domain with its facets."""

    row: Row
    facets: list[Row]
    chart: BarChart | None


def domain_chart(personality: Mapping[str, Any]) -> BarChart | None:
    """Return the chart of the five domains, or nothing where none has a score."""
    return _chart(_("Your five domains"), personality.get("domains", {}), DOMAINS)


def charts_of(personality: Mapping[str, Any]) -> list[DomainResult]:
    """Return the domains, each with its words and a chart of its facets; empty without scores."""
    domains, facets = personality.get("domains", {}), personality.get("facets", {})
    found = []
    for domain in DOMAINS:
        if domain not in domains:
            continue
        keys = [key for key in facets if key.startswith(domain)]
        title = _("Facets of %(domain)s") % {"domain": _(meanings()[domain].label)}
        found.append(
            DomainResult(
                _row(domain, domains[domain]),
                [_row(key, facets[key]) for key in keys],
                _chart(title, facets, keys),
            )
        )
    return found


def is_stale(version: ProfileVersion | None, answers: Mapping[int, int]) -> bool:
    """Say whether answers were given or changed after they were scored; starting again is no change."""
    if version is None or not version.personality or not answers:
        return False
    scored: dict[str, int] = version.personality["answers"]
    return scored != {str(number): value for number, value in answers.items()}


def _chart(title: str, scores: Mapping[str, Any], keys: Any) -> BarChart | None:
    bars = [
        Bar(_(meanings()[key].label), scores[key]["t"])
        for key in keys
        if key in scores and scores[key]["t"] is not None
    ]
    if not bars:
        return None
    note = _(
        "T scores: 50 is the average of the group that you are compared with; "
        "two thirds of people lie within 40 to 60."
    )
    return bar_chart(title, bars, scale=T_SCALE, note=note)


def _row(key: str, score: Mapping[str, Any]) -> Row:
    meaning = meanings()[key]
    level = score["level"]
    words = {"low": _("low"), "average": _("average"), "high": _("high")}
    return Row(
        meaning=meaning,
        level=words.get(level, ""),
        sentence=_(meaning.of(level)) if level else "",
        percentile=percent_words(score["percentile"]) if score["percentile"] is not None else "",
        answered=score["answered"],
        asked=score["asked"],
    )
