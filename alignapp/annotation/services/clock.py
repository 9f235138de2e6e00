"""The time that an item may take: whether it is over, and what becomes of the item then.

Counted is the time for which the page was visible, as the page says: the server sends items ahead of the
eyes, so it cannot know when one was first seen. Who asks without scripts is not timed.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from alignapp.annotation.models import Assignment
from alignapp.annotation.services import items

GRACE_MS = 5_000  # for the way to the server


def limit_ms(assignment: Assignment) -> int | None:
    """Return how long the item may be looked at; None without a limit."""
    seconds = assignment.item.project.time_limit_seconds
    return None if seconds is None else 1000 * seconds


def is_over(assignment: Assignment, active_ms: int | None = None) -> bool:
    """Say whether the time is up; `active_ms` is what the page says now."""
    limit = limit_ms(assignment)
    return limit is not None and _used(assignment, active_ms) >= limit


def is_too_late(assignment: Assignment, active_ms: int | None = None) -> bool:
    """Say whether it is up for so long that an answer is not taken any more."""
    limit = limit_ms(assignment)
    return limit is not None and _used(assignment, active_ms) >= limit + GRACE_MS


def put_aside(assignment: Assignment, draft: dict[str, Any], active_ms: int | None) -> None:
    """Give an open item to somebody else; what was typed stays with this one's row."""
    used = _used(assignment, active_ms)
    with transaction.atomic():
        rows = Assignment.objects.filter(pk=assignment.pk, state__in=Assignment.OPEN)
        rows.update(draft=draft, active_ms=used)
        items.give_back(assignment, _("The time for it was over."), Assignment.OPEN)


def _used(assignment: Assignment, active_ms: int | None) -> int:
    return max(assignment.active_ms, active_ms or 0)
