"""`manage.py demo`: the main job, unattended, on the real model, with the numbers at the end."""

from __future__ import annotations

import json
import secrets
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.demo import report, study
from alignapp.demo.visitor import Visitor
from alignapp.processes.stack import running_stack
from personalization.errors import AlignError
from personalization.simulation.people import draw_person

ANSWER_TOKENS = 96
BAR_WIDTH = 30


class Command(BaseCommand):
    """Sign a simulated person up, let the application learn from their ratings, and measure."""

    help = "Do the main job with a simulated person and print what it gained. About ten minutes on 2 cores."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --seed and --json."""
        parser.add_argument("--seed", type=int, default=0, help="which person, prompts and noise (default 0)")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: Any, seed: int, json: bool, **options: Any) -> None:
        """Run the study with the workers up, and print the table or the object."""
        # A machine clicks faster than the limits let a person; and the prototype's answers had 96 tokens.
        settings.REPLIES_PER_MINUTE = settings.JOBS_PER_DAY = 1_000_000
        settings.ACCOUNT_RATE_LIMITS = {}
        settings.MAX_NEW_TOKENS = ANSWER_TOKENS
        begun = time.monotonic()
        bar = ProgressBar()
        try:
            bar("start the workers", 0.0)
            with running_stack(self.stderr.write, web=False):
                started = time.monotonic() - begun
                password = secrets.token_urlsafe(12)
                visitor = Visitor(f"demo-{seed}-{secrets.token_hex(3)}@example.org", password)
                result = study.run(visitor, draw_person(seed), seed, bar)
        except AlignError as error:
            raise CommandError(str(error)) from error
        finally:
            bar.end()
        result.steps = {"start the workers": started, **result.steps}
        seconds = time.monotonic() - begun
        sign_in = f"Sign in as {visitor.email} with the password {password} to look at it (make run)."
        if json:
            self.stderr.write(sign_in)
            self.stdout.write(as_line(report.as_json(result, seconds)))
        else:
            self.stdout.write(report.as_text(result, seconds))
            self.stdout.write(f"\n{sign_in}")


def as_line(data: dict[str, Any]) -> str:
    """Return the object as one line."""
    return json.dumps(data)


class ProgressBar:
    """One line on standard error, rewritten in place on a terminal and printed at each step elsewhere."""

    def __init__(self) -> None:
        self._step = ""

    def __call__(self, step: str, share: float) -> None:
        """Show that `share` (0 to 1) of a step is done."""
        if sys.stderr.isatty():
            filled = round(BAR_WIDTH * share)
            sys.stderr.write(
                f"\r\x1b[K[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {100 * share:3.0f} % {step}"
            )
        elif step != self._step:
            sys.stderr.write(f"{step}\n")
        self._step = step
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        sys.stderr.write("\n")
