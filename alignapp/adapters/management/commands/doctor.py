"""`manage.py doctor`: check the installation and say how to mend what is not right."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from alignapp.processes.diagnosis import diagnose


class Command(BaseCommand):
    """Print one line for each subject; exit with 1 when something must be mended."""

    help = "Check database, broker, workers, model, disk and browser, and say how to mend what is not right."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --json."""
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        """Print the findings."""
        findings = []
        for finding in diagnose():
            findings.append(finding)
            if not as_json:
                self.stdout.write(f"{finding.state:5} {finding.subject:22} {finding.message}")
        if as_json:
            self.stdout.write(json.dumps([finding.as_dict() for finding in findings]))
        if any(finding.state == "fail" for finding in findings):
            sys.exit(1)
