"""`manage.py limits`: quotas, retention, the gate's margins and the rule of going back, from the terminal."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.adapters import options
from alignapp.panel.facts import change_facts, option_facts
from personalization.errors import AlignError

TERMINAL = "terminal"  # who did it, in the audit record


class Command(BaseCommand):
    """List, change, reset and undo; each change needs a reason and is on record."""

    help = (
        "limits list | set NAME VALUE | reset NAME | history [NAME] | undo ID, with --reason WHY and --json"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="every limit, what it is and what it may be")
        changed = acts.add_parser("set", help="a number, or on or off")
        reset = acts.add_parser("reset", help="back to the program's own")
        for one in (changed, reset):
            one.add_argument("name")
        changed.add_argument("value")
        acts.add_parser("history", help="newest first, presets too").add_argument(
            "name", nargs="?", default=""
        )
        undone = acts.add_parser("undo", help="make it what it was before a change")
        undone.add_argument("id", type=int)
        for one in (changed, reset, undone):
            one.add_argument("--reason", required=True)
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, as_json: bool, **given: Any) -> None:
        """Do one act."""
        try:
            found = getattr(self, f"_{act}")(given)
        except AlignError as error:
            raise CommandError(str(error)) from None
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        for row in found if isinstance(found, list) else [found]:
            self.stdout.write("  ".join(f"{value}" for value in row.values()))

    def _list(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        now = options.values(options.LIMITS)
        shown = ("name", "value", "default", "low", "high")
        every = (option_facts(option, now[name]) for name, option in options.LIMITS.items())
        return [{name: row[name] for name in shown} for row in every]

    def _set(self, given: dict[str, Any]) -> dict[str, Any]:
        option = options.find(given["name"])
        if option.kind == "preset":
            raise AlignError("Presets are changed by `manage.py presets set`.")
        value = _value(given["value"], option)
        return change_facts(options.change(option.name, value, by=TERMINAL, reason=given["reason"]))

    def _reset(self, given: dict[str, Any]) -> dict[str, Any]:
        return change_facts(options.change(given["name"], None, by=TERMINAL, reason=given["reason"]))

    def _history(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        if given["name"]:
            options.find(given["name"])
        return [change_facts(change) for change in options.history(given["name"])[:200]]

    def _undo(self, given: dict[str, Any]) -> dict[str, Any]:
        return change_facts(options.undo(given["id"], by=TERMINAL, reason=given["reason"]))


def _value(text: str, option: options.Option) -> Any:
    if option.kind == "switch":
        if text not in ("on", "off"):
            raise AlignError(f"{option.name} is on or off, not {text!r}.")
        return text == "on"
    try:
        return float(text)
    except ValueError:
        raise AlignError(f"{option.name} needs a number, not {text!r}.") from None
