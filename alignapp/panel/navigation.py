"""The panel's navigation: one entry for each part, shown to those who may open it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from alignapp.panel.roles import EVERYBODY, READERS


@dataclass(frozen=True, slots=True)
class Entry:
    """One link. `part` is what a page's template calls itself (`{% block part %}`)."""

    part: str
    label: str | Promise
    url_name: str
    roles: tuple[str, ...]


ENTRIES = [
    Entry("overview", _("Overview"), "panel:overview", READERS),
    Entry("jobs", _("Jobs"), "panel:jobs", READERS),
    Entry("adapters", _("Adapters and vectors"), "panel:adapters", READERS),
    Entry("methods", _("What helps"), "panel:methods", READERS),
    Entry("models", _("Base models"), "panel:models", READERS),
    Entry("campaigns", _("Campaigns"), "panel:campaigns", READERS),
    Entry("limits", _("Methods and limits"), "panel:limits", READERS),
    Entry("people", _("People"), "panel:people", EVERYBODY),
    Entry("audit", _("Audit"), "panel:audit", READERS),
    Entry("tokens", _("API"), "panel:tokens", READERS),
]


def entries_for(roles: frozenset[str], part: str) -> list[tuple[Entry, bool]]:
    """Return the links that these roles may follow, each with whether it is where we are."""
    return [(entry, entry.part == part) for entry in ENTRIES if roles & set(entry.roles)]
