"""`manage.py roles`: give, take away and list the roles of the panel."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from alignapp.accounts.models import Person
from alignapp.panel import roles
from alignapp.panel.models import RoleGrant
from personalization.errors import AlignError


class Command(BaseCommand):
    """Change who may operate. Whoever runs this on the host is the first operator's operator."""

    help = "roles grant PERSON ROLE --reason WHY | roles revoke PERSON ROLE --reason WHY | roles list"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the three acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        for act in ("grant", "revoke"):
            one = acts.add_parser(act)
            one.add_argument("person", help="e-mail address or pseudonym")
            one.add_argument("role", choices=RoleGrant.Role.values)
            one.add_argument("--reason", required=True)
        acts.add_parser("list").add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, **options: Any) -> None:
        """Do one act."""
        if act == "list":
            self._list(as_json=options["as_json"])
            return
        name = options["person"]
        person = Person.objects.filter(Q(email=name.lower()) | Q(pseudonym=name)).first()
        if person is None:
            raise CommandError(f"There is nobody with the address or pseudonym {name}.")
        change = roles.grant if act == "grant" else roles.revoke
        try:
            change(person, options["role"], options["reason"])
        except AlignError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{person} is {'now' if act == 'grant' else 'no longer'} {options['role']}.")

    def _list(self, *, as_json: bool) -> None:
        held = RoleGrant.objects.filter(ended_at=None).select_related("person").order_by("role", "created_at")
        rows = [
            {
                "person": grant.person.pseudonym,
                "role": grant.role,
                "since": grant.created_at.isoformat(timespec="minutes"),
                "reason": grant.reason,
            }
            for grant in held
        ]
        if as_json:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            self.stdout.write(f"{row['person']}  {row['role']:9} since {row['since']}  {row['reason']}")
