"""`manage.py import_data`: read a file into an annotation project, without a page and without a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.annotation.models import Project
from alignapp.exchange import services
from alignapp.exchange.rows import Committed, commit
from personalization.errors import AlignError
from personalization.exchange import registry

TOLD_EVERY = 50_000  # records


class Command(BaseCommand):
    """Commit a file's records; the same file again changes nothing."""

    _told = 0

    help = "Import answers and judgements into a project: JSONL, JSON or CSV, also as .gz."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file, the project and what may be done with the rows."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", required=True, help="the project's id")
        parser.add_argument(
            "--format", default="", help=", ".join(one.name for one in registry.all_formats())
        )
        parser.add_argument("--licence", default="", help="of rows that name none")
        parser.add_argument("--no-training", action="store_true", help="nothing of it may be trained on")
        parser.add_argument("--dry-run", action="store_true", help="only look at the beginning")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        """Look at the file or commit it."""
        terms = {"licence": options["licence"], "may_train": not options["no_training"]}
        try:
            project = Project.objects.get(pk=options["project"])
            with file.open("rb") as opened:
                form = registry.get(options["format"]) if options["format"] else services.recognise(opened)
                if options["dry_run"]:
                    self._look(services.look_at(opened, form, **terms))
                    return
                done = commit(project, services.read(opened, form, **terms), report=self._report)
        except (Project.DoesNotExist, ValidationError):
            raise CommandError(f"There is no project {options['project']}.") from None
        except (AlignError, OSError) as error:
            raise CommandError(str(error)) from error
        for line, problem in done.first_errors:
            self.stderr.write(f"line {line}: {problem}")
        words = ", ".join(f"{name} {value}" for name, value in done.counts().items())
        self.stdout.write(f"{form.title}: {words}")

    def _look(self, preview: dict[str, Any]) -> None:
        for line, problem in preview.pop("list"):
            self.stderr.write(f"line {line}: {problem}")
        for row in preview.pop("first"):
            self.stdout.write(f"line {row['line']}: {row['prompt'][:70]!r}, {len(row['answers'])} answers")
        self.stdout.write(", ".join(f"{name} {value}" for name, value in preview.items()))

    def _report(self, done: Committed) -> None:
        if (count := done.new + done.known) - self._told >= TOLD_EVERY:
            self._told = count
            self.stdout.write(f"{count:,} records")
