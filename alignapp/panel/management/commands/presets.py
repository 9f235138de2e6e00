"""`manage.py presets`: learning methods, what their jobs learn with, and what those take."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.adapters import options
from alignapp.adapters.estimates import dry_run
from alignapp.adapters.models import MethodInfo
from alignapp.panel.facts import change_facts
from alignapp.panel.management.commands.limits import TERMINAL
from personalization.errors import AlignError


class Command(BaseCommand):
    """List, try, set and reset presets; switch methods on and off."""

    help = "presets list | try METHOD | set METHOD | reset METHOD | on METHOD | off METHOD, each with --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="every method, whether it is on, and its parameters")
        for act, words in (
            ("try", "what a job with these values takes; changes nothing"),
            ("set", "change the values; what is not named becomes the method's own"),
            ("reset", "back to the method's own values"),
            ("on", "offer the method to people"),
            ("off", "offer it no longer"),
        ):
            one = acts.add_parser(act, help=words)
            one.add_argument("method")
            if act in ("try", "set"):
                one.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", dest="given")
            if act != "try":
                one.add_argument("--reason", required=True)
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, as_json: bool, **given: Any) -> None:
        """Do one act."""
        try:
            found = self._list() if act == "list" else self._do(act, given)
        except AlignError as error:
            raise CommandError(str(error)) from None
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        for row in found if isinstance(found, list) else [found]:
            for name, value in row.items():
                self.stdout.write(f"{name:22} {value}")

    def _do(self, act: str, given: dict[str, Any]) -> dict[str, Any]:
        method = given["method"]
        if act in ("on", "off"):
            name = f"{options.METHOD}{method}"
            return change_facts(options.change(name, act == "on", by=TERMINAL, reason=given["reason"]))
        option = options.find(f"{options.PRESET}{method}")
        if act == "reset":
            return change_facts(options.change(option.name, None, by=TERMINAL, reason=given["reason"]))
        values = option.check(dict(_pair(each) for each in given["given"]))
        if act == "try":
            return {"method": method, "parameters": values, **dry_run(method, values).as_dict()}
        return change_facts(options.change(option.name, values, by=TERMINAL, reason=given["reason"]))

    def _list(self) -> list[dict[str, Any]]:
        infos = list(MethodInfo.objects.all())
        presets = options.presets(info.name for info in infos)
        return [
            {
                "method": info.name,
                "on": info.enabled,
                "preset": presets[info.name],
                "parameters": info.parameters,
            }
            for info in infos
        ]


def _pair(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise AlignError(f"{text!r} is not NAME=NUMBER.") from None
