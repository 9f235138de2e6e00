"""`manage.py models`: the registry of base models, from the terminal."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from alignapp.adapters import bases
from alignapp.adapters.facts import model_facts
from alignapp.adapters.models import KnownModel
from personalization.errors import AlignError

TERMINAL = "terminal"  # who did it, in the audit record


class Command(BaseCommand):
    """List, add, check and make the default; each act is on record."""

    help = "models list | add SPEC [--licence NAME] | check MODEL | default MODEL --reason WHY"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the acts; each takes --json."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list")
        added = acts.add_parser("add", help="put on record and have checked")
        added.add_argument("spec", help="as ALIGN_MODEL: embedded, a folder, a hub id")
        added.add_argument("--licence", default="", help="where the model does not name it")
        for name in ("check", "default"):
            one = acts.add_parser(name)
            one.add_argument("model", help="its revision, its spec, or its id")
            if name == "default":
                one.add_argument("--reason", required=True, help="on record: everybody's alignment changes")
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, as_json: bool, **options: Any) -> None:
        """Do one act, and tell how the model is then."""
        try:
            if act == "list":
                found = list(KnownModel.objects.all())
            elif act == "add":
                found = [bases.add(TERMINAL, options["spec"], options["licence"])]
            else:
                found = [_found(options["model"])]
                if act == "check":
                    bases.check(TERMINAL, found[0])
                else:
                    bases.make_default(TERMINAL, found[0], options["reason"])
        except AlignError as error:
            raise CommandError(str(error)) from None
        rows = [model_facts(known) for known in found]
        if as_json:
            self.stdout.write(json.dumps(rows if act == "list" else rows[0]))
            return
        for row in rows:
            mark = "default" if row["is_default"] else ""
            self.stdout.write(f"{row['revision'] or '-':16} {row['state']:8} {mark:8} {row['spec']}")
            if row["reason"]:
                self.stdout.write(f"  {row['reason']}")
        if not rows:
            self.stdout.write("None is known yet. A generation worker lists its own when it starts.")


def _found(text: str) -> KnownModel:
    named = Q(revision=text) | Q(spec=text)
    if known := KnownModel.objects.filter(named).first():
        return known
    for known in KnownModel.objects.all():
        if str(known.pk).startswith(text):
            return known
    raise CommandError(f"There is no base model {text} on record; manage.py models list names them.")
