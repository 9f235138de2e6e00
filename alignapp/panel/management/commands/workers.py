"""`manage.py workers list`: what each worker process said of itself last."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from alignapp.panel.facts import worker_facts
from alignapp.panel.models import Worker


class Command(BaseCommand):
    """List the workers, the silent ones too."""

    help = "workers list [--json]: last heartbeat, queues, device, memory, versions, artifacts in memory."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the act."""
        listed = parser.add_subparsers(dest="act", required=True).add_parser("list")
        listed.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        """List them."""
        now = timezone.now()
        rows = [worker_facts(worker, now) for worker in Worker.objects.all()]
        if as_json:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            state = "alive " if row["alive"] else "silent"
            self.stdout.write(
                f"{state} {row['name']:32} {row['seconds_silent']:6} s  {', '.join(row['queues'])}"
            )
