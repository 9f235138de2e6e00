"""`manage.py export_data`: write a project's records, or one person's own, as a zip with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.accounts.models import Person
from alignapp.annotation.models import Project
from alignapp.exchange import records, services
from personalization.errors import AlignError
from personalization.exchange import registry


class Command(BaseCommand):
    """Write the same zip as the export page does."""

    help = "Export a project (--project) or one person's own feedback (--person) with a dataset card."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file, the source, the formats and the purpose."""
        parser.add_argument("file", type=Path, help="the zip to write")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--project", help="the project's id")
        source.add_argument("--person", help="the person's e-mail address or pseudonym")
        names = [one.name for one in registry.all_formats() if one.writes]
        parser.add_argument("--format", action="append", required=True, choices=names, dest="formats")
        parser.add_argument("--purpose", choices=["training", "analysis"], default="training")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        """Write the zip."""
        try:
            source, about = self._source(options["project"], options["person"])
            with file.open("wb") as out:
                for piece in services.pack(source, options["formats"], options["purpose"], about):
                    out.write(piece)
        except (AlignError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {file.stat().st_size:,} bytes")

    def _source(self, project_id: str | None, name: str | None) -> tuple[services.Source, Any]:
        if project_id:
            try:
                project = Project.objects.get(pk=project_id)
            except (Project.DoesNotExist, ValidationError):
                raise CommandError(f"There is no project {project_id}.") from None
            return lambda: records.of_project(project), services.about_project(project)
        found = Person.objects.filter(email__iexact=name) | Person.objects.filter(pseudonym=name)
        if (person := found.first()) is None:
            raise CommandError(f"There is no person {name}.")
        return lambda: records.of_person(person), services.about_person(person)
