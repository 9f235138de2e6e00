"""Keep the numbers that operators see over time, and verify the audit chain.

Both may run twice: a minute that was measured is not measured again, and a check is one row.
"""

from __future__ import annotations

import logging

from alignapp.audit import services as audit
from alignapp.audit.models import AuditCheck
from alignapp.panel import measures
from workers.app import app

log = logging.getLogger(__name__)


@app.task(name="workers.measure")
def measure() -> None:
    """Measure the minutes that have ended, and roll hours and days up."""
    measures.measure()


@app.task(name="workers.verify_audit")
def verify_audit(check_id: int | None = None) -> None:
    """Verify the chain: for a check that an operator waits for, or by the clock."""
    waiting = None
    if check_id is not None:
        waiting = AuditCheck.objects.filter(pk=check_id, finished_at=None).first()
        if waiting is None:
            log.info("audit check %s is done or gone; nothing to do", check_id)
            return
    found = audit.check(waiting=waiting)
    if found.problem_count:
        log.error("the audit chain is broken at %d places; see /operate/audit/", found.problem_count)
