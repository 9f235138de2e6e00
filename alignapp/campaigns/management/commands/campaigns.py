"""`manage.py campaigns`: plan, start, hold and follow campaigns, from the terminal."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.adapters.models import PROVE
from alignapp.adapters.proofs import KINDS
from alignapp.campaigns import outcomes, planning, running
from alignapp.campaigns.guarantee import Guarantee, guaranteed
from alignapp.campaigns.models import Campaign
from personalization.errors import AlignError

TERMINAL = "terminal"  # who did it, in the audit record


class Command(BaseCommand):
    """Plan changes nothing; start, pause, resume and cancel need a reason and are on record."""

    help = "campaigns plan METHOD … | start METHOD … --reason WHY | list | show|helped|pause|resume|cancel ID"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the acts; each takes --json."""
        acts = parser.add_subparsers(dest="act", required=True)
        for name in ("plan", "start"):
            one = acts.add_parser(name)
            one.add_argument("method", help=f"or {PROVE}: prove again what people have")
            one.add_argument("--kind", choices=KINDS, default="", help=f"what {PROVE} proves")
            one.add_argument("--name", default="", help="none: the method and the base model")
            one.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
            one.add_argument("--base", default="", help="revision of a base model that does not answer yet")
            one.add_argument("--whom", choices=Campaign.Whom.values, default=Campaign.Whom.ACTIVE)
            one.add_argument("--wave", type=int, default=10, help="people at a time")
            one.add_argument("--margin", type=float, default=0.1, help="how far a win rate may fall")
            one.add_argument("--most-lost", type=float, default=0.3, help="share of people, else it stops")
            one.add_argument(
                "--most-refused", type=float, default=0.2, help="share of versions, else it stops"
            )
            one.add_argument("--leave-off", action="store_true", help="switch nothing on")
            if name == "start":
                one.add_argument("--reason", required=True)
        acts.add_parser("list")
        for name in ("show", "helped"):
            acts.add_parser(name).add_argument("campaign", help="id, or its beginning")
        for name in running.BY_NAME:
            one = acts.add_parser(name)
            one.add_argument("campaign", help="id, or its beginning")
            one.add_argument("--reason", required=True)
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, as_json: bool, **options: Any) -> None:
        """Do one act."""
        self.as_json = as_json
        try:
            if act == "plan":
                self._tell_plan(planning.plan(_wanted(options)))
            elif act == "start":
                self._tell(running.start(TERMINAL, _wanted(options), options["reason"]))
            elif act == "list":
                self._tell_all(outcomes.as_dicts(list(Campaign.objects.all()[:100])))
            elif act == "helped":
                self._tell_helped(guaranteed(_found(options["campaign"])))
            else:
                campaign = _found(options["campaign"])
                if act in running.BY_NAME:
                    running.BY_NAME[act](TERMINAL, campaign, options["reason"])
                self._tell(campaign)
        except AlignError as error:
            raise CommandError(str(error)) from None

    def _tell_plan(self, plan: planning.Plan) -> None:
        if self.as_json:
            self.stdout.write(json.dumps(plan.as_dict()))
            return
        minutes = "unknown" if plan.minutes is None else f"about {plan.minutes:.0f}"
        size = "unknown" if plan.size_bytes is None else f"about {plan.size_bytes / 2**20:.1f}"
        self.stdout.write(
            f"{plan.people} people in {plan.waves} waves, {plan.left_out} left out without consent"
        )
        self.stdout.write(f"minutes: {minutes} with {plan.workers} workers alive; MiB: {size}")
        if plan.start_worker:
            self.stdout.write(f"No worker would take its jobs. Start one: {plan.start_worker}")
        self.stdout.write("Nothing was changed.")

    def _tell_helped(self, found: Guarantee) -> None:
        people = [row.person.pseudonym for row in found.named]
        if self.as_json:
            counts = {"candidates": found.candidates, "known": found.known, "level": found.level}
            self.stdout.write(json.dumps({"people": people, **counts}))
            return
        self.stdout.writelines(f"{pseudonym}\n" for pseudonym in people)
        self.stdout.write(
            f"{len(people)} of {found.candidates} new versions can be said to help, on average at most "
            f"{found.level:.0%} of them wrongly, by {found.known} others of known truth."
        )

    def _tell(self, campaign: Campaign) -> None:
        row = outcomes.as_dict(campaign)
        if self.as_json:
            self.stdout.write(json.dumps(row))
        else:
            self._write([row])

    def _tell_all(self, rows: list[dict[str, Any]]) -> None:
        if self.as_json:
            self.stdout.write(json.dumps(rows))
        else:
            self._write(rows)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            through = ", ".join(f"{n} {state}" for state, n in row["outcomes"].items() if n)
            self.stdout.write(f"{row['id'][:8]} {row['state']:9} wave {row['wave']} {row['name']}: {through}")
            if row["reason"]:
                self.stdout.write(f"  {row['reason']}")
        if not rows:
            self.stdout.write("No campaign yet.")


def _wanted(options: dict[str, Any]) -> Campaign:
    base = options["base"]
    return Campaign(
        name=(options["name"] or f"{options['method']} {base}".strip())[:80],
        method=options["method"],
        kind=options["kind"],
        parameters=dict(_number(pair) for pair in options["set"]),
        base_revision=base,
        whom=options["whom"],
        wave_size=options["wave"],
        margin=options["margin"],
        most_lost=options["most_lost"],
        most_refused=options["most_refused"],
        switch_on=not options["leave_off"],
    )


def _number(pair: str) -> tuple[str, float]:
    name, _, value = pair.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise CommandError(f"{pair} is no NAME=NUMBER.") from None


def _found(text: str) -> Campaign:
    digits = text.replace("-", "").lower()
    every = [campaign for campaign in Campaign.objects.all() if campaign.pk.hex.startswith(digits)]
    if not digits or len(every) != 1:
        raise CommandError(f"{len(every)} campaigns have an id that begins with {text or 'nothing'}.")
    return every[0]
