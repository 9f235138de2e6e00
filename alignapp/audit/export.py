"""The audit record as JSONL, for auditors and archives: what the chain's hashes are made of.

Reasons and details may quote people and stay here; their digest is written out, so that whoever has the file
can recompute every hash of it (`chain.event_hash`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.db.models import QuerySet

from alignapp.audit.models import AuditEvent

CHUNK = 1000
FIELDS = (
    *("id", "at", "actor_label", "subject_label", "verb", "object_type", "object_id"),
    *("detail_digest", "masked", "previous_hash", "hash"),
)


def chunks(events: QuerySet[AuditEvent]) -> Iterator[bytes]:
    """Yield lines, a thousand at a time, in the order of the chain. Holds no cursor open between them."""
    last = 0
    while rows := list(events.filter(id__gt=last).order_by("id").values(*FIELDS)[:CHUNK]):
        lines = (json.dumps({**row, "at": row["at"].isoformat()}) for row in rows)
        yield "".join(f"{line}\n" for line in lines).encode()
        last = rows[-1]["id"]
