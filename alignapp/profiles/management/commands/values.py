"""`manage.py values`: build a direction for each value that can be measured in text, show it, ship it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.profiles import effects
from personalization.errors import UnknownName
from personalization.values.effects import SHIPPED, newest, ship
from personalization.values.measures import measure_of, measures
from personalization.values.report import as_page


class Command(BaseCommand):
    """Run `personalization.directions` for the configured model in a process of its own: it needs torch."""

    help = "Learn and measure value directions for the base model; minutes for each value, resumable."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        commands = parser.add_subparsers(dest="command", required=True)
        build = commands.add_parser("build", help="learn what is not there yet, and measure it")
        build.add_argument("--values", nargs="*", default=[], help=f"keys, such as {next(iter(measures()))}")
        build.add_argument("--json", type=Path, help="write every number to this file")
        build.add_argument("--page", type=Path, help="write the table to this file (Markdown)")
        build.add_argument(
            "--adapter-below", type=float, default=0.75, help="try an adapter below this win rate"
        )
        build.add_argument("--exact", action="store_true", help="compute in the precision that serves")
        build.add_argument("--again", action="store_true", help="make finished ones again")
        page = commands.add_parser("page", help="write the table of what was built")
        page.add_argument("file", type=Path)
        commands.add_parser("ship", help="copy the vectors that were built into the code, for everybody")

    def handle(self, *args: Any, command: str, **options: Any) -> None:
        """Build, or write the page."""
        if command == "page":
            self._page(options["file"])
            return
        if command == "ship":
            self._ship()
            return
        try:
            for key in options["values"]:
                measure_of(key)
        except UnknownName as error:
            raise CommandError(str(error)) from error
        run = [sys.executable, "-m", "personalization.directions"]
        run += ["--model", settings.ALIGN_MODEL, "--model-dir", str(settings.MODEL_DIR)]
        run += ["--store", str(settings.VALUES_DIR), "--device", settings.ALIGN_DEVICE]
        run += ["--threads", str(settings.ALIGN_THREADS), "--adapter-below", str(options["adapter_below"])]
        run += ["--exact"] * options["exact"] + ["--again"] * options["again"]
        run += ["--json", str(options["json"].resolve())] if options["json"] else []
        run += ["--values", *options["values"]] if options["values"] else []
        if subprocess.run(run, cwd=settings.BASE_DIR, check=False).returncode:
            raise CommandError("The value directions were not built; what is finished is kept.")
        if options["page"]:
            self._page(options["page"])

    def _ship(self) -> None:
        folder = newest(Path(settings.VALUES_DIR))
        if folder is None:
            raise CommandError("Nothing was built yet: manage.py values build")
        shipped = ship(folder, SHIPPED / folder.name)
        self.stdout.write(f"{len(shipped)} values of model {folder.name} are in {SHIPPED.name}.")

    def _page(self, file: Path) -> None:
        folder = effects.folder()
        if folder is None:
            raise CommandError("Nothing was built yet: manage.py values build")
        file.write_text(as_page(effects.built(), effects.combined(), effects.messages()), encoding="utf-8")
