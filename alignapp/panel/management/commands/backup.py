"""`manage.py backup FOLDER`: everything, while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.processes import backups
from personalization.errors import AlignError


class Command(BaseCommand):
    """Back up database and artifacts, and read everything again."""

    help = "Back database, artifacts and value directions up into a new folder, verified by hashes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the folder."""
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        """Write it, and verify what was written."""
        try:
            backups.back_up(folder)
            manifest = backups.verify(folder)
        except (AlignError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{len(manifest['files'])} files in {folder}, verified. Keep it private: it holds words."
        )
