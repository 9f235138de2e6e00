"""What the operators' pages show of people's artifacts: lists, one with its lineage, several side by side.

Knows nothing of requests. No page reads anybody's words: people are pseudonyms, cards are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.adapters import asking, comparison
from alignapp.adapters.aliases import active_ids, aliases_of
from alignapp.adapters.live import live_of
from alignapp.adapters.models import Alignment, AlignmentVersion, Artifact, LiveAlarm, MergeWay
from alignapp.adapters.pages.live import LiveView, live_view
from alignapp.adapters.together import findings
from alignapp.audit.models import AuditEvent
from alignapp.audit.wording import in_words
from alignapp.chat.models import Reply
from alignapp.panel.models import Worker
from alignapp.panel.pages.lineage import lineage
from alignapp.panel.pages.listing import listing
from alignapp.studies.merging import agreed_study
from personalization.errors import AlignError

MOST_COMPARED = 6
LATELY = timedelta(days=7)  # alarms that the list tells of
State = Artifact.State


# What a list is narrowed to: the query's name, and the field.
FILTERS = {
    "state": "state",
    "kind": "kind",
    "person": "person__pseudonym",
    "method": "job__method",
    "model": "model_revision",
}


def adapters_page(query: QueryDict) -> dict[str, Any]:
    """Return the context of the list, newest first. Four queries, however many there are."""
    filters = {name: query.get(name, "").strip() for name in FILTERS}
    wanted = {FILTERS[name]: value for name, value in filters.items() if value}
    every = Artifact.objects.filter(**wanted).select_related("person", "job").defer("summary")
    page = listing(every, query)
    active = active_ids({artifact.person_id for artifact in page.rows})
    return {
        "filters": filters,
        "listing": page,
        "rows": [(artifact, artifact.pk in active) for artifact in page.rows],
        "states": State.choices,
        "kinds": Artifact.Kind.choices,
        "alarms": LiveAlarm.objects.filter(created_at__gt=timezone.now() - LATELY).count(),
    }


def adapter_page(artifact: Artifact) -> dict[str, Any]:
    """Return the context of one artifact: what it is, where it comes from, how it did, what was done."""
    aliases = aliases_of(artifact.person, artifact.kind)
    card = getattr(artifact, "report_card", None)
    naming = AlignmentVersion.objects.filter(**{artifact.kind: artifact})
    events = AuditEvent.objects.filter(object_id=str(artifact.pk))
    used = Reply.objects.filter(alignment_version__in=naming).aggregate(n=Count("pk"), last=Max("created_at"))
    return {
        "artifact": artifact,
        "is_active": artifact == aliases.active,
        "others": [
            (name, other)
            for name in ("active", "previous", "candidate")
            if (other := getattr(aliases, name)) is not None and other != artifact
        ],
        "names": aliases.of(artifact),
        "card": card,
        "findings": findings(card.results) if card else [],
        "gate": (card.results.get("safety") or {}) if card else {},
        "lineage": lineage(artifact),
        "live": _live(artifact) if artifact == aliases.active else None,
        "alarms": artifact.alarms.all(),
        "parameters": dict(artifact.summary.get("parameters") or artifact.job.parameters or {}),
        "rank": artifact.summary.get("rank") or (artifact.summary.get("settings") or {}).get("rank"),
        "used": used,
        "loaded": [worker.name for worker in Worker.alive() if artifact.digest in worker.resident],
        "events": [(event, in_words(event.verb)) for event in events.order_by("-id")[:20]],
        "possible": possible(artifact, is_active=artifact == aliases.active),
    }


def _live(artifact: Artifact) -> LiveView | None:
    """Return the running record of what acts for a person now; it concerns what was switched on last."""
    return live_view(live_of(artifact.person))


def possible(artifact: Artifact, *, is_active: bool) -> list[tuple[str, str, str]]:
    """Return the acts that make sense now: name, label, what it does."""
    out = artifact.state in (State.QUARANTINED, State.EXPIRED)
    every = [
        (
            artifact.state == State.PROVEN and not is_active,
            "promote",
            _("Promote"),
            _("Switch it on for its person."),
        ),
        (is_active, "rollback", _("Roll back"), _("Put the previous version in its place.")),
        (not out, "quarantine", _("Quarantine"), _("Take it out of service at once.")),
        (out, "restore", _("Restore"), _("Give it the state that its evidence says; it is not switched on.")),
        (
            not out and not artifact.pinned,
            "expire",
            _("Expire"),
            _("Take it out of service: its time is over."),
        ),
        (
            not artifact.pinned and artifact.state != State.EXPIRED,
            "pin",
            _("Pin"),
            _("It neither expires nor is pruned."),
        ),
        (artifact.pinned, "unpin", _("Unpin"), _("Let it expire and be pruned again.")),
    ]
    return [(name, label, words) for makes_sense, name, label, words in every if makes_sense]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the comparison: a number of every artifact, as words."""

    name: str
    values: list[str]


def compare_page(artifacts: Sequence[Artifact], typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the context of several artifacts side by side, with what a merge of them needs to know.

    `typed` holds the form of a merge that was refused.
    """
    pointers = Alignment.objects.filter(person__in={a.person_id for a in artifacts})
    active = active_ids(set(pointers.values_list("person", flat=True)))
    tables = {a.pk: {f.name: f for f in findings(a.report_card.results)} for a in artifacts if _has_card(a)}
    names = dict.fromkeys(name for table in tables.values() for name in table)
    lines = [
        Line(
            name,
            [
                f"{f.words} ({f.interval})" if (f := tables.get(a.pk, {}).get(name)) else "-"
                for a in artifacts
            ],
        )
        for name in names
    ]
    adapters = [a for a in artifacts if a.kind == Artifact.Kind.ADAPTER]
    group, obstacle = None, ""
    if len({a.person_id for a in artifacts}) > 1:
        try:
            group = agreed_study(artifacts)
        except AlignError as error:
            obstacle = str(error)
    mergeable = len(adapters) == len(artifacts) > 1 and not obstacle
    ways = list(MergeWay.objects.all()) if mergeable else []
    return {
        "artifacts": artifacts,
        "active": active,
        "lines": lines,
        "weights": weights_of(adapters) if len(adapters) > 1 else None,
        "mergeable": mergeable,
        "group": group,
        "obstacle": obstacle,
        "ways": ways,
        "knobs": [(name, (typed or {}).get(name, "")) for name in knobs_of(ways)],
        "ids": "&".join(f"id={a.pk}" for a in artifacts),
        "typed": typed or {},
        "neutral": asking.NEUTRAL,
        "weighted": [(a, (typed or {}).get(f"weight-{a.pk}", "1")) for a in artifacts],
    }


def asked_page(asked: asking.Asked) -> dict[str, Any]:
    """Return the context of what several were asked, with their answers so far. One query."""
    rows = asking.answers(asked)
    open_ones = sum(not cell.has_ended for _prompt, cells in rows for cell in cells)
    return {"asked": asked, "rows": rows, "open": open_ones}


def knobs_of(ways: Iterable[MergeWay]) -> list[str]:
    """Return the names of the parameters that ways to merge have, each once."""
    return sorted({name for way in ways for name in way.parameters})


def weights_of(adapters: Sequence[Artifact]) -> dict[str, Any]:
    """Return the heat map of every two adapters' conflict by layer; `waits` while a worker computes it."""
    ordered = sorted(adapters, key=lambda a: str(a.pk))
    found = comparison.compared(ordered)
    if found is None:
        return {"waits": True}
    pairs: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in found["rows"]:
        shade = min(10, max(0, round(5 + 5 * row["cosine"])))
        pairs.setdefault((row["first"], row["second"]), []).append({**row, "shade": shade})
    return {
        "waits": False,
        "problem": found.get("problem", ""),
        "layers": sorted({row["layer"] for row in found["rows"]}),
        "pairs": [
            {
                "first": ordered[first],
                "second": ordered[second],
                "cells": cells,
                "cosine": _mean(cells, "cosine"),
                "sign_conflict": 100 * _mean(cells, "sign_conflict"),
                "overlap": 100 * _mean(cells, "overlap"),
            }
            for (first, second), cells in pairs.items()
        ],
    }


def _mean(cells: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(sum(cell[name] for cell in cells) / len(cells))


def _has_card(artifact: Artifact) -> bool:
    return getattr(artifact, "report_card", None) is not None
