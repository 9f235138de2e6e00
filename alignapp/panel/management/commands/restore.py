"""`manage.py restore FOLDER`: bring a backup back, in place of what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from alignapp.panel.models import Worker
from alignapp.processes import backups
from personalization.errors import AlignError


class Command(BaseCommand):
    """Replace everything with a backup; what is there now is gone then."""

    help = "Replace database and artifacts with a backup's. Stop web and workers first."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the folder, its name once more, and the way past workers that seem to live."""
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--replace", metavar="NAME", help="the folder's name again: what is there now is lost"
        )
        parser.add_argument("--verify-only", action="store_true", help="read the backup and change nothing")

    def handle(self, *args: Any, folder: Path, replace: str, verify_only: bool, **options: Any) -> None:
        """Verify it, and bring it back."""
        try:
            if verify_only:
                manifest = backups.verify(folder)
                self.stdout.write(
                    f"{len(manifest['files'])} files of {manifest['at']}, as they were written."
                )
                return
            if replace != folder.name:
                raise CommandError(f"What is there now will be lost. Confirm with --replace {folder.name}")
            if _somebody_works():
                raise CommandError("Workers are running. Stop web and workers first, and wait 45 seconds.")
            manifest = backups.restore(folder)
            Worker.objects.all().delete()  # those that lived when it was made; who lives now reports again
        except (AlignError, OSError) as error:
            raise CommandError(str(error)) from None
        again = manifest["erased_again"]
        self.stdout.write(
            f"Restored what was there at {manifest['at']}. {again} people who left since are erased."
        )


def _somebody_works() -> bool:
    try:
        return Worker.alive().exists()
    except DatabaseError:  # an empty database has no tables yet
        return False
