"""`manage.py adapters`: what the panel does with people's artifacts, from the terminal."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alignapp.adapters import acts, asking
from alignapp.adapters.facts import alarm_facts, asked_facts, facts, more_facts
from alignapp.adapters.models import Artifact, ArtifactQuerySet, Job, LiveAlarm
from alignapp.adapters.proofs import start_proof
from alignapp.adapters.pruning import Rule, doomed, prune, usual
from alignapp.panel.pages import held_out
from alignapp.panel.pages.comparing import compared
from alignapp.studies import giving
from alignapp.studies.merging import start_merge
from personalization.errors import AlignError

TERMINAL = "terminal"  # who did it, in the audit record
LOOK_SECONDS = 0.5  # how often answers are looked at


class Command(BaseCommand):
    """List, show and act; each act needs a reason and is on record."""

    help = "adapters list|show|alarms|verify|prune|compare|prove|merge|give|ask|" + "|".join(acts.BY_NAME)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the acts."""
        every = parser.add_subparsers(dest="act", required=True)
        listed = every.add_parser("list", help="newest first")
        listed.add_argument("--state", choices=Artifact.State.values)
        listed.add_argument("--person", help="pseudonym")
        listed.add_argument("--kind", choices=Artifact.Kind.values)
        listed.add_argument("--damaged", action="store_true", help="whose files were changed or are missing")
        listed.add_argument("--limit", type=int, default=50)
        for name in ("show", *acts.BY_NAME):
            one = every.add_parser(name)
            one.add_argument("artifact", help="id, or the beginning of its digest")
            if name != "show":
                one.add_argument("--reason", required=True)
        alarms = every.add_parser("alarms", help="what lost blind comparisons in daily use, newest first")
        alarms.add_argument("--limit", type=int, default=50)
        verified = every.add_parser("verify", help="read every byte; exit with 1 where one is damaged")
        verified.add_argument("artifact", nargs="*", help="none: all of them")
        pruned = every.add_parser("prune", help="say what a rule would delete; --really deletes it")
        pruned.add_argument("--days", type=int, help="without: the option retention.days")
        pruned.add_argument("--keep", type=int, help="without: the option retention.keep")
        pruned.add_argument("--state", action="append", choices=Artifact.State.values, default=[])
        pruned.add_argument("--really", action="store_true")
        pruned.add_argument("--reason", default="")
        several = every.add_parser("compare", help="cards and the same held-out comparisons, side by side")
        several.add_argument("artifact", nargs="+", help="id or digest")
        several.add_argument(
            "--wait", type=int, default=120, help="seconds, at most, for what a worker computes"
        )
        proven = every.add_parser("prove", help="queue another proof, here or on another base model")
        proven.add_argument("artifact", nargs="+", help="id or digest")
        proven.add_argument("--base", default="", help="revision; without: the base model that answers")
        proven.add_argument("--reason", required=True)
        merged = every.add_parser("merge", help="queue a merge, whose result must be proven like any other")
        merged.add_argument("artifact", nargs="+", help="id or digest, with =WEIGHT where it is not 1")
        merged.add_argument("--way", required=True)
        merged.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
        merged.add_argument("--reason", required=True)
        given = every.add_parser("give", help="queue a version of a group's merge for members who agreed")
        given.add_argument("artifact", help="id or digest")
        given.add_argument("--reason", required=True)
        asked = every.add_parser("ask", help="put the same questions to several and to the base model")
        asked.add_argument("artifact", nargs="+", help="id or digest")
        asked.add_argument("--neutral", type=int, default=0, help="so many neutral questions")
        asked.add_argument("--prompt", action="append", default=[], help="a question of your own")
        asked.add_argument("--reason", required=True)
        for one in every.choices.values():
            one.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, act: str, as_json: bool, **options: Any) -> None:
        """Do one act."""
        self.as_json = as_json
        try:
            if act in acts.BY_NAME:
                self._act(act, options["artifact"], options["reason"])
            else:
                getattr(self, f"_{act}")(options)
        except AlignError as error:
            raise CommandError(str(error)) from None

    def _list(self, options: dict[str, Any]) -> None:
        found = _artifacts()
        for name, path in (("state", "state"), ("kind", "kind"), ("person", "person__pseudonym")):
            if options[name]:
                found = found.filter(**{path: options[name]})
        if options["damaged"]:
            found = found.damaged()
        rows = [facts(artifact) for artifact in found.order_by("-created_at")[: options["limit"]]]
        self._say(
            rows, [f"{r['id']}  {r['name']:24}{r['person']:18}{r['state']:12}{r['method']}" for r in rows]
        )

    def _show(self, options: dict[str, Any]) -> None:
        artifact = Artifact.named(options["artifact"])
        row = more_facts(artifact)
        self._say(row, [f"{name}: {value}" for name, value in row.items()])

    def _alarms(self, options: dict[str, Any]) -> None:
        found = LiveAlarm.objects.select_related("person", "artifact")[: options["limit"]]
        rows = [alarm_facts(one) for one in found]
        self._say(rows, [f"{r['at']}  {r['name']:24}{r['person']:18}{r['done']}" for r in rows])

    def _act(self, name: str, which: str, reason: str) -> None:
        artifact = Artifact.named(which)
        act = acts.BY_NAME[name]
        act.do(TERMINAL, artifact, reason)
        self._say(facts(artifact), [f"{artifact} {act.done}."])

    def _verify(self, options: dict[str, Any]) -> None:
        wanted = [Artifact.named(name) for name in options["artifact"]]
        damaged, seen = [], 0
        for artifact in wanted or _artifacts().order_by("pk").iterator(chunk_size=100):
            seen += 1
            if acts.verify(artifact):
                damaged.append(artifact)
        rows = [{**facts(artifact), "damage": artifact.damage} for artifact in damaged]
        lines = [f"{artifact.pk} {artifact}: {artifact.damage}" for artifact in damaged]
        self._say({"verified": seen, "damaged": rows}, [*lines, f"{seen} verified, {len(rows)} damaged."])
        if damaged:
            sys.exit(1)

    def _prune(self, options: dict[str, Any]) -> None:
        kept = usual()
        days = kept.days if options["days"] is None else options["days"]
        keep = kept.keep if options["keep"] is None else options["keep"]
        rule = Rule(days, keep, tuple(options["state"]))
        if options["really"]:
            gone = prune(TERMINAL, rule, options["reason"])
            self._say({"rule": str(rule), "deleted": gone}, [*gone, f"{len(gone)} deleted: {rule}."])
            return
        names = [f"{artifact} {artifact.digest[:12]}" for artifact in doomed(rule)]
        last = f"{len(names)} would be deleted: {rule}. Add --really and a --reason to do it."
        self._say({"rule": str(rule), "would_delete": names}, [*names, last])

    def _merge(self, options: dict[str, Any]) -> None:
        parents = {}
        for each in options["artifact"]:
            name, _, weight = each.partition("=")
            parents[Artifact.named(name)] = _number(weight or "1", each)
        given = {name: _number(value, name) for name, _, value in (s.partition("=") for s in options["set"])}
        job = start_merge(TERMINAL, parents, options["way"], given, options["reason"])
        self._say(
            {"job": str(job.pk), "state": job.state}, [f"Queued: {job}. Its result is proven, then shown."]
        )

    def _compare(self, options: dict[str, Any]) -> None:
        chosen = [Artifact.named(name) for name in options["artifact"]]
        until = time.monotonic() + options["wait"]
        while (found := compared(chosen))["waits"] and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        names = " | ".join(f"{each['name']} of {each['person']}" for each in found["artifacts"])
        lines = [f"{line['name']}: {' | '.join(line['values'])}" for line in found["lines"]]
        lines += held_out.lines(found["held_out"]) if found["held_out"] else []
        self._say(found, [names, *lines, *("Still computed: " + what for what in found["waits"])])

    def _prove(self, options: dict[str, Any]) -> None:
        chosen = [Artifact.named(name) for name in options["artifact"]]
        jobs = [start_proof(TERMINAL, each, options["reason"], options["base"]) for each in chosen]
        self._queued(jobs)

    def _give(self, options: dict[str, Any]) -> None:
        self._queued(giving.give(TERMINAL, Artifact.named(options["artifact"]), options["reason"]))

    def _queued(self, jobs: list[Job]) -> None:
        rows = [{"job": str(job.pk), "person": job.person.pseudonym, "state": job.state} for job in jobs]
        self._say(rows, [f"Queued for {row['person']}: {row['job']}" for row in rows])

    def _ask(self, options: dict[str, Any]) -> None:
        prompts = [*asking.NEUTRAL[: options["neutral"]], *options["prompt"]]
        chosen = [Artifact.named(name) for name in options["artifact"]]
        asked = asking.ask(TERMINAL, chosen, prompts, options["reason"])
        while not (found := asked_facts(asked))["has_ended"]:
            time.sleep(LOOK_SECONDS)
        lines = []
        for row in found["questions"]:
            lines.append(f"# {row['question']}")
            for answer in row["answers"]:
                who = " ".join(filter(None, (answer["name"], answer["person"])))
                lines += [f"## {who}", answer["error"] or answer["text"], ""]
        self._say(found, lines)

    def _say(self, data: Any, lines: list[str]) -> None:
        if self.as_json:
            self.stdout.write(json.dumps(data, default=str))
            return
        for line in lines:
            self.stdout.write(line)


def _artifacts() -> ArtifactQuerySet:
    return Artifact.objects.select_related("person", "job", "report_card")


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AlignError(f"{what!r} needs a number, not {text!r}.") from None
