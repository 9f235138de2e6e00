"""What the operators' pages show of people's artifacts: lists, and one with its lineage.

Knows nothing of requests. No page reads anybody's words: people are pseudonyms, cards are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.adapters import asking, bases, proofs
from alignapp.adapters.aliases import active_ids, aliases_of
from alignapp.adapters.live import live_of
from alignapp.adapters.models import AlignmentVersion, Artifact, LiveAlarm
from alignapp.adapters.pages.live import LiveView, live_view
from alignapp.adapters.together import findings
from alignapp.audit.wording import told_of
from alignapp.chat.models import Reply
from alignapp.panel.models import Worker
from alignapp.panel.pages.lineage import lineage
from alignapp.panel.pages.listing import listing
from alignapp.studies import giving
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
    filters = {name: query.get(name, "").strip() for name in (*FILTERS, "damaged")}
    page = listing(narrowed(filters), query)
    active = active_ids({artifact.person_id for artifact in page.rows})
    return {
        "filters": filters,
        "listing": page,
        "rows": [(artifact, artifact.pk in active) for artifact in page.rows],
        "states": State.choices,
        "kinds": Artifact.Kind.choices,
        "alarms": LiveAlarm.objects.filter(created_at__gt=timezone.now() - LATELY).count(),
    }


def narrowed(given: Mapping[str, Any]) -> QuerySet[Artifact]:
    """Return what FILTERS and `damaged` narrow all versions to. Executes no query by itself."""
    found = Artifact.objects.filter(**{path: given[name] for name, path in FILTERS.items() if given[name]})
    found = found.damaged() if given["damaged"] else found
    return found.select_related("person", "job").defer("summary")


def adapter_page(artifact: Artifact) -> dict[str, Any]:
    """Return the context of one artifact: what it is, where it comes from, how it did, what was done."""
    aliases = aliases_of(artifact.person, artifact.kind)
    card = getattr(artifact, "report_card", None)
    naming = AlignmentVersion.objects.filter(**{artifact.kind: artifact})
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
        "parameters": _parameters(artifact),
        "rank": artifact.summary.get("rank") or (artifact.summary.get("settings") or {}).get("rank"),
        "used": used,
        "loaded": [worker.name for worker in Worker.alive() if artifact.digest in worker.resident],
        "events": told_of(artifact, 20),
        "possible": possible(artifact, is_active=artifact == aliases.active),
        "hindrance": "" if artifact == aliases.active else hindrance(artifact),
        "offer": _offer(artifact),
        "unprovable": proofs.obstacle(artifact),
        "bases": bases.waiting(),
    }


def _parameters(artifact: Artifact) -> dict[str, Any]:
    """Return what it was made with; of a merge, each adapter's weight by the beginning of its digest."""
    found = dict(artifact.summary.get("parameters") or artifact.job.parameters or {})
    if weights := found.get("weights"):
        found["weights"] = ", ".join(f"{digest[:12]} times {weight:g}" for digest, weight in weights.items())
    return found


def _offer(artifact: Artifact) -> giving.Offer | None:
    """Return who could be given a version of a group's merge; None for every other artifact. Five queries."""
    try:
        return giving.offer(artifact) if artifact.is_of_several else None
    except AlignError:  # it is a version that somebody was given
        return None


def _live(artifact: Artifact) -> LiveView | None:
    """Return the running record of what acts for a person now; it concerns what was switched on last."""
    return live_view(live_of(artifact.person))


def hindrance(artifact: Artifact) -> str:
    """Say why an artifact cannot be promoted, as the end of a sentence; empty where it can."""
    if artifact.state in Artifact.OUT_OF_SERVICE:
        return _("it is out of service.")
    if artifact.damage:
        return _("its files are damaged.")
    if not artifact.person.is_active:
        return _("nobody chats in the name of a group, or of an account that is off.")
    if artifact.state == State.NOT_PROVEN:
        return _("its person may switch it on without evidence, you only what is proven.")
    return "" if artifact.state == State.PROVEN else _("once it is proven you may.")


def possible(artifact: Artifact, *, is_active: bool) -> list[tuple[str, str, str]]:
    """Return the acts that make sense now: name, label, what it does."""
    out = artifact.state in Artifact.OUT_OF_SERVICE
    may_return = artifact.state_by_card != State.QUARANTINED
    every = [
        (
            not is_active and not hindrance(artifact),
            "promote",
            _("Promote"),
            _("Switch it on for its person."),
        ),
        (is_active, "rollback", _("Roll back"), _("Put the previous version in its place.")),
        (not out, "quarantine", _("Quarantine"), _("Take it out of service at once.")),
        (
            out and may_return and not artifact.damage,
            "restore",
            _("Restore"),
            _("Give it the state that its evidence says; it is not switched on."),
        ),
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


def asked_page(asked: asking.Asked) -> dict[str, Any]:
    """Return the context of what several were asked, with their answers so far. One query."""
    rows = asking.answers(asked)
    open_ones = sum(not cell.has_ended for _prompt, cells in rows for cell in cells)
    return {"asked": asked, "rows": rows, "open": open_ones}
