"""`manage.py workers`: what each worker process said of itself last, and the overview's numbers."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from alignapp.panel.facts import worker_facts
from alignapp.panel.models import Worker
from alignapp.panel.pages.overview import SPANS, figures


class Command(BaseCommand):
    """List the workers, the silent ones too, or tell what there is and what they did."""

    help = "workers list | figures [--over hour|day|month]; each with --json."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="last heartbeat, queues, device, memory, versions, artifacts in memory")
        told = acts.add_parser(
            "figures", help="what the overview shows: people, artifacts, jobs, queues, disk"
        )
        told.add_argument("--over", choices=[span.name for span in SPANS], default="hour")
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, as_json: bool, **options: Any) -> None:
        """Do one act."""
        if act == "list":
            now = timezone.now()
            rows = [worker_facts(worker, now) for worker in Worker.objects.all()]
            self._say(rows, [_line(row) for row in rows], as_json=as_json)
            return
        found = figures(options["over"])
        numbers = {**found["levels"], **found["totals"]}
        missing = [
            f"No living worker takes from the queue {name}." for name in found["queues_without_worker"]
        ]
        self._say(
            found, [f"{name:24} {value:12g}" for name, value in numbers.items()] + missing, as_json=as_json
        )

    def _say(self, data: Any, lines: list[str], *, as_json: bool) -> None:
        for line in [json.dumps(data, cls=DjangoJSONEncoder)] if as_json else lines:
            self.stdout.write(line)


def _line(row: dict[str, Any]) -> str:
    state = "alive " if row["alive"] else "silent"
    return f"{state} {row['name']:32} {row['seconds_silent']:6} s  {', '.join(row['queues'])}"
