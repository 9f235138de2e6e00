"""The hashes of the audit chain, and the search for events that were edited, removed, added or moved.

What it cannot show: somebody who holds both the database and SECRET_KEY can write a new chain, and
somebody who holds old copies of all tables can put them back. Note the head elsewhere against both.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

from django.utils.crypto import salted_hmac

from alignapp.audit.models import AuditEvent, ChainHead

FIRST = "0" * 64  # what the first event follows


@dataclass(frozen=True, slots=True)
class Problem:
    """One place where the chain does not hold; `event_id` is None for its end."""

    event_id: int | None
    what: str


def verify_chain() -> list[Problem]:
    """Return every place where the chain does not hold, in order; empty when it does. Reads every row."""
    problems: list[Problem] = []
    previous, count = FIRST, 0
    erased = set(AuditEvent.objects.filter(verb="account.erased").values_list("subject_label", flat=True))
    events = AuditEvent.objects.select_related("actor", "subject").order_by("id")
    for event in events.iterator():
        if event.previous_hash != previous:
            problems.append(Problem(event.id, "an event before it was removed, added or moved"))
        if not hmac.compare_digest(event.hash, event_hash(event)):
            problems.append(Problem(event.id, "it was edited"))
        elif what := _wrong_details(event, erased):
            problems.append(Problem(event.id, what))
        previous, count = event.hash, count + 1
    return problems + _wrong_head(previous, count)


def detail_digest(event: AuditEvent) -> str:
    """Return the salted digest of what may be masked later."""
    details = json.dumps([event.salt, event.reason, event.evidence], sort_keys=True)
    return hashlib.sha256(details.encode()).hexdigest()


def event_hash(event: AuditEvent) -> str:
    """Return the hash of an event: what happened, the digest of its details, and the event before it."""
    fields = [
        event.previous_hash,
        event.at.isoformat(),
        event.actor_label,
        event.subject_label,
        event.verb,
        event.object_type,
        event.object_id,
        event.detail_digest,
    ]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def head_signature(head: ChainHead) -> str:
    """Return the signature over where the chain ends."""
    return salted_hmac("alignapp.audit.head", f"{head.count} {head.hash}", algorithm="sha256").hexdigest()


def _wrong_details(event: AuditEvent, erased: set[str]) -> str:
    for person, label in ((event.actor, event.actor_label), (event.subject, event.subject_label)):
        if person is not None and str(person) != label:
            return "it points to another person than it names"
    if not event.masked:
        return "" if event.detail_digest == detail_digest(event) else "its details were edited"
    if event.reason or event.evidence or event.salt:
        return "it is masked and has details"
    if not erased & {event.actor_label, event.subject_label}:
        return "it was masked though nobody left"
    return ""


def _wrong_head(previous: str, count: int) -> list[Problem]:
    head = ChainHead.objects.filter(pk=1).first()
    if head is None:
        return [Problem(None, "the end of the chain is not signed")] if count else []
    if head.count != count or head.hash != previous:
        return [Problem(None, f"the chain should end after {head.count} events, there are {count}")]
    if not hmac.compare_digest(head.signature, head_signature(head)):
        return [Problem(None, "the end of the chain is not signed by this SECRET_KEY")]
    return []
