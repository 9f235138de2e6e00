"""`manage.py verify_audit`: find events that were edited, removed, added or moved."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from alignapp.audit.chain import verify_chain
from alignapp.audit.models import ChainHead

SHOWN = 20


class Command(BaseCommand):
    """Exit with 1 and name the events when the chain is broken."""

    help = "Verify the hash chain of the audit record, and print its end to be noted elsewhere."

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk the chain."""
        problems = verify_chain()
        for problem in problems[:SHOWN]:
            where = f"event {problem.event_id}" if problem.event_id else "end"
            self.stderr.write(f"{where}: {problem.what}")
        if problems:
            self.stderr.write(f"The chain is broken at {len(problems)} places.")
            sys.exit(1)
        head = ChainHead.objects.filter(pk=1).first()
        if head is None:
            self.stdout.write("No event yet.")
        else:
            self.stdout.write(f"{head.count} events, chain intact. It ends with {head.hash}")
