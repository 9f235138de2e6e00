"""`manage.py export_audit FILE`: write the audit record as JSONL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from alignapp.audit.export import chunks
from alignapp.audit.models import AuditEvent


class Command(BaseCommand):
    """Write every event, one a line, without reasons and details."""

    help = "Write the audit record as JSONL: what its hashes are made of, no reasons and no details."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file."""
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        """Write it."""
        count = 0
        with file.open("wb") as out:
            for chunk in chunks(AuditEvent.objects.all()):
                out.write(chunk)
                count += chunk.count(b"\n")
        self.stdout.write(f"{count} events in {file}")
