"""Append to the audit chain, and mask in it what was about a person who left.

Knows nothing of what the events mean. `chain.py` computes the hashes and verifies them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from alignapp.audit import chain
from alignapp.audit.models import AuditCheck, AuditEvent, ChainHead

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

PROBLEMS_KEPT = 20
ERASED = "account.erased"  # the verb that allows a person's events to be masked
_noted: ContextVar[dict[str, str] | None] = ContextVar("noted", default=None)


def record(
    actor: Person | str | None,
    verb: str,
    obj: models.Model | None = None,
    *,
    reason: str = "",
    **evidence: Any,
) -> AuditEvent:
    """Append one event. `actor` is a person, or "worker" or "system"; `evidence` is JSON-ready.

    Part of the caller's transaction, if there is one. Writers wait for each other at the head's row,
    so call it late in a long transaction.
    """
    person = actor if isinstance(actor, models.Model) else None
    evidence = {**(_noted.get() or {}), **evidence}
    subject = _owner_of(obj) if obj is not None else person
    event = AuditEvent(
        at=timezone.now(),
        actor=person,
        actor_label=str(actor or "system"),
        subject=subject,
        subject_label=str(subject or ""),
        verb=verb,
        object_type=obj._meta.label_lower if obj is not None else "",
        object_id=str(obj.pk) if obj is not None else "",
        reason=reason[:500],
        evidence=json.loads(json.dumps(evidence, default=str)),
        salt=secrets.token_hex(16),
    )
    event.detail_digest = chain.detail_digest(event)
    with transaction.atomic():
        ChainHead.objects.get_or_create(pk=1, defaults={"hash": chain.FIRST})
        head = ChainHead.objects.select_for_update().get(pk=1)
        event.previous_hash = head.hash
        event.hash = chain.event_hash(event)
        event.save(force_insert=True)
        head.count, head.hash = head.count + 1, event.hash
        head.signature = chain.head_signature(head)
        head.save()
    return event


@contextmanager
def noting(**evidence: str) -> Iterator[None]:
    """Put this into the evidence of every event that is recorded inside: how its actor came to act."""
    before = _noted.set({**(_noted.get() or {}), **evidence})
    try:
        yield
    finally:
        _noted.reset(before)


def events_about(person: Person) -> models.QuerySet[AuditEvent]:
    """Return what this person did and what was done with their data, latest first."""
    return AuditEvent.objects.filter(Q(actor=person) | Q(subject=person)).order_by("-id")


def check(*, asked_by: str = "system", waiting: AuditCheck | None = None) -> AuditCheck:
    """Walk over the whole chain and keep what was found. Reads every event."""
    row = waiting or AuditCheck.objects.create(asked_by=asked_by)
    problems = chain.verify_chain()
    head = ChainHead.objects.filter(pk=1).first()
    row.events, row.head = (head.count, head.hash) if head else (0, "")
    row.problems = [{"event": p.event_id, "what": p.what} for p in problems[:PROBLEMS_KEPT]]
    row.problem_count, row.finished_at = len(problems), timezone.now()
    row.save()
    return row


def mask(person: Person) -> int:
    """Blank the details of every event by or about a person and cut the links to them; return how many.

    The chain stays valid when an `account.erased` event names the person, which the caller records.
    """
    by_or_about = AuditEvent.objects.filter(Q(actor=person) | Q(subject=person))
    count = by_or_about.update(reason="", evidence={}, salt="", masked=True)
    AuditEvent.objects.filter(actor=person).update(actor=None)
    AuditEvent.objects.filter(subject=person).update(subject=None)
    return count


def _owner_of(obj: models.Model) -> Any:
    """Return the person an object belongs to, None when it belongs to nobody."""
    if isinstance(obj, get_user_model()):
        return obj
    owner: Any = obj
    for name in getattr(obj, "owner_path", "").split("__"):
        owner = getattr(owner, name, None) if name else None
    return owner
