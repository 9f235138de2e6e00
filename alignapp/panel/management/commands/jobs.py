"""`manage.py jobs`: what the panel's job pages show and do, from the terminal."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from alignapp.adapters.models import Job
from alignapp.panel import jobs as verbs
from alignapp.panel.facts import job_facts
from alignapp.panel.pages.listing import by_id
from personalization.errors import AlignError

MOST_LISTED = 1000


class Command(BaseCommand):
    """List, show, cancel, retry and reprioritise jobs."""

    help = (
        "jobs list [filters] | show ID | cancel ID --reason WHY | retry ID --reason WHY | priority ID NUMBER"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the acts; each takes --json."""
        acts = parser.add_subparsers(dest="act", required=True)
        listed = acts.add_parser("list")
        listed.add_argument("--state", choices=Job.State.values)
        listed.add_argument("--method")
        listed.add_argument("--person", help="pseudonym")
        listed.add_argument("--older-than-hours", type=float)
        listed.add_argument("--limit", type=int, default=50)
        for act in ("show", "cancel", "retry", "priority"):
            one = acts.add_parser(act)
            one.add_argument("id", help="the job's id, or the beginning of it")
            if act in ("cancel", "retry"):
                one.add_argument("--reason", required=True, help="the person reads it")
            if act == "priority":
                one.add_argument("number", type=int)
                one.add_argument("--reason", default="")
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, as_json: bool, **options: Any) -> None:
        """Do one act, and tell how the job is then."""
        if act == "list":
            self._tell([job_facts(job) for job in _listed(options)], as_json=as_json)
            return
        job = _found(options["id"])
        try:
            if act == "cancel":
                verbs.cancel(job, by=None, reason=options["reason"])
            elif act == "retry":
                verbs.retry(job, by=None, reason=options["reason"])
            elif act == "priority":
                verbs.set_priority(job, options["number"], by=None, reason=options["reason"])
        except AlignError as error:
            raise CommandError(str(error)) from None
        job.refresh_from_db()
        shown = job_facts(job) | ({"traceback": job.traceback, "curve": job.curve} if act == "show" else {})
        if as_json:
            self.stdout.write(json.dumps(shown))
            return
        for name, value in shown.items():
            self.stdout.write(f"{name:12} {value}")

    def _tell(self, rows: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            self.stdout.write(
                f"{row['id'][:8]}  {row['state']:9} {row['person']:13} {row['method']:12} "
                f"{row['progress']:4.0%}  priority {row['priority']:3}  {row['asked_for']}  {row['cause']}"
            )


def _listed(options: dict[str, Any]) -> list[Job]:
    jobs = Job.objects.select_related("person").defer("curve", "split", "traceback").order_by("-created_at")
    if options["state"]:
        jobs = jobs.filter(state=options["state"])
    if options["method"]:
        jobs = jobs.filter(method=options["method"])
    if options["person"]:
        jobs = jobs.filter(person__pseudonym=options["person"])
    if options["older_than_hours"]:
        jobs = jobs.filter(created_at__lt=timezone.now() - timedelta(hours=options["older_than_hours"]))
    return list(jobs[: min(max(options["limit"], 1), MOST_LISTED)])


def _found(text: str) -> Job:
    try:
        found = list(Job.objects.select_related("person").filter(by_id(text))[:2])
    except ValueError:
        raise CommandError(f"{text} is not an id of a job, nor the beginning of one.") from None
    if len(found) != 1:
        raise CommandError(
            f"{'No job has' if not found else 'More than one job has'} an id that begins with {text}."
        )
    return found[0]
