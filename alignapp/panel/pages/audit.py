"""Events of the audit record, without what may quote a person."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict

from alignapp.audit.models import AuditCheck, AuditEvent
from alignapp.audit.wording import in_words
from alignapp.panel.forms import AuditFilter
from alignapp.panel.pages.listing import listing

# Whose reasons operators wrote; those of others may quote people.
BY_OPERATORS = ("role.", "person.", "support.", "job.cancelled", "job.retried", "job.reprioritised")


def audit_page(query: QueryDict) -> dict[str, Any]:
    """Return the context of the list. Three queries."""
    form = AuditFilter(query or None) if query else AuditFilter({})
    events = listing(AuditEvent.objects.filter(form.conditions()), query, by="id")
    rows = [(e, in_words(e.verb), e.reason if e.verb.startswith(BY_OPERATORS) else "") for e in events.rows]
    kept = query.copy()
    kept.pop("before", None)
    return {
        "form": form,
        "listing": events,
        "rows": rows,
        "query": kept.urlencode(),
        "check": AuditCheck.objects.first(),
    }
