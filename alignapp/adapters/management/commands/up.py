"""`manage.py up`: serve alignapp on this machine until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.processes.stack import running_stack
from alignapp.processes.supervisor import Stack
from personalization.errors import AlignError


class Command(BaseCommand):
    """Start web, workers, beat and the embedded Valkey; stop all of them together."""

    help = "Start everything on this machine: web, workers, beat and, without REDIS_URL, a Valkey."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare where to listen and what to leave out."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--no-workers", action="store_true", help="start the pages only")

    def handle(self, *args: Any, host: str, port: int, no_workers: bool, **options: Any) -> None:
        """Run until a signal comes."""
        # Also Ctrl-C: a shell starts background commands with it ignored.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        begun = time.monotonic()
        self.stdout.write("Starting, about half a minute …")
        self.stdout.flush()
        try:
            with running_stack(self._tell, workers=not no_workers, host=host, port=port) as stack:
                self._announce(stack, host, port, time.monotonic() - begun)
                while True:
                    time.sleep(1.0)
                    stack.revive()
        except AlignError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("Stopped. Nothing is left running.")

    def _tell(self, line: str) -> None:
        self.stderr.write(line)

    def _announce(self, stack: Stack, host: str, port: int, seconds: float) -> None:
        self.stdout.write(f"alignapp is ready after {seconds:.0f} s: http://{host}:{port}")
        for child in stack.children:
            self.stdout.write(f"  {child.service.name:13} {child.service.purpose}")
        self.stdout.write(f"Logs are in {settings.VAR_DIR / 'log'}. Ctrl-C stops everything.")
        self.stdout.flush()


def _interrupt(*_: object) -> None:
    sys.stdout.flush()
    raise KeyboardInterrupt
