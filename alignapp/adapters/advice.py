"""Which way of learning to advise a person: their feedback, what acts, and outcomes, asked of the adviser.

Knows nothing of words or pages (`pages/advice.py`). `priors.json` is written by `benchmarks.adviser --ship`:
what benchmarks measured on simulated people with the embedded model. Everybody's report cards move it from
five people on; of them it takes nothing but a method and a share.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q

from alignapp.accounts.models import Consent
from alignapp.adapters import services
from alignapp.adapters.headline import estimate
from alignapp.adapters.models import Artifact, Job, Judgement, ReportCard
from alignapp.adapters.readiness import Given
from alignapp.instant.services import METHOD as INSTANT
from alignapp.instant.services import part_for
from personalization import adviser
from personalization.adviser import Advice, Measured, advise
from personalization.beliefs import Outcome, counting, of_enough
from personalization.statistics import wilson

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from alignapp.accounts.models import Person
    from alignapp.adapters.models import AlignmentVersion

FILE = Path(__file__).with_name("priors.json")
LATEST_CARDS, LATEST_JOBS = 100, 100  # that are read; older ones tell of older versions
LEAST_JOBS = 3  # of a method, before its time here counts instead of the benchmark's
ACTING = ("adapter", "vector")  # parts that feedback teaches
# From this strength on a part counts as what was measured, which was at full strength; below it for nothing.
COUNTS_FROM = 0.5


@dataclass(frozen=True, slots=True)
class Advised:
    """The advice, what it was asked with, and how many outcomes it took in."""

    advice: Advice
    messages: Mapping[str, int]  # with feedback, by kind
    current: str | None
    own: int  # outcomes of the person
    others: int  # other people whose outcomes count
    seconds: Mapping[str, float]  # what a method takes, here or else in the benchmark


@cache
def priors() -> Mapping[str, Any]:
    """Return the shipped file: `rows`, and on whom and what they were measured."""
    found: Mapping[str, Any] = json.loads(FILE.read_text())
    return found


@cache
def table() -> tuple[Measured, ...]:
    """Return what was measured of each method."""
    return tuple(Measured.of(row) for row in priors()["rows"])


def advised(person: Person, given: Given, methods: Collection[str]) -> Advised:
    """Return what to advise, of these methods. Eight queries, however many people there are."""
    current = acting(person, services.current_alignment(person))
    rows = adviser.reached(given.messages, table())
    own = counting(outcomes_of(person), rows)
    others = of_enough(counting(others_outcomes(person), rows))
    seconds = {row.method: row.seconds for row in table()} | seconds_here()
    return Advised(
        advise(
            given.messages,
            table(),
            current=current,
            candidates=methods,
            own=own,
            others=others,
            budget_seconds=settings.ADVICE_SECONDS,
            seconds=seconds,
        ),
        given.messages,
        current,
        len(own),
        len({outcome.person for outcome in others}),
        seconds,
    )


def acting(person: Person, version: AlignmentVersion | None) -> str | None:
    """Return what feedback taught and acts now, as the table names it; None for the base model.

    Beside stated values three tenths of the ratings' vector act, as beside an adapter: that is not what was
    measured, and would let what somebody has look better than it is.
    """
    parts = version.parts if version else ()
    learned = [
        getattr(version, part)
        for part in ACTING
        if part in parts and getattr(version, f"{part}_strength") >= COUNTS_FROM
    ]
    methods = dict(Job.objects.filter(artifact__in=learned).values_list("artifact", "method"))
    names = [methods[artifact.pk] for artifact in learned]
    instant = part_for(person, parts)
    if instant and instant["strength"] >= COUNTS_FROM:
        names.append(INSTANT)
    return "+".join(names) or None


def outcomes_of(person: Person) -> list[Outcome]:
    """Return a person's own outcomes: held-out comparisons, and fresh answers that they judged blind."""
    return [*_held_out(_cards().filter(artifact__person=person)), *_blind(person)]


def others_outcomes(person: Person | None) -> list[Outcome]:
    """Return everybody else's latest held-out outcomes, of those whose consent is in force."""
    agreed = Consent.objects.filter(person=OuterRef("artifact__person"), withdrawn_at__isnull=True)
    others = _cards().filter(Exists(agreed))
    return _held_out(others.exclude(artifact__person=person) if person else others)


def seconds_here() -> dict[str, float]:
    """Return how long methods lately took here, from the start to the proof; of few jobs nothing."""
    done = Job.objects.filter(state=Job.State.DONE, finished_at__isnull=False)
    took: dict[str, list[float]] = defaultdict(list)
    for method, begun, ended in done.order_by("-finished_at").values_list(
        "method", "started_at", "finished_at"
    )[:LATEST_JOBS]:
        if begun and ended:
            took[method].append((ended - begun).total_seconds())
    return {method: median(some) for method, some in took.items() if len(some) >= LEAST_JOBS}


def _cards() -> QuerySet[ReportCard]:
    usable = (Artifact.State.PROVEN, Artifact.State.NOT_PROVEN)
    cards = ReportCard.objects.filter(artifact__kind__in=ACTING, artifact__state__in=usable)
    cards = cards.filter(artifact__job__from_project=False)  # whose answers were given for something else
    return cards.order_by("-created_at")


def _held_out(cards: QuerySet[ReportCard]) -> list[Outcome]:
    rows = cards.values_list("artifact__person", "artifact__job__method", "results__accuracy__artifact")
    found = []
    for person, method, share in rows[:LATEST_CARDS]:
        one = estimate(share)
        if one is not None and one.n:
            found.append(Outcome.held_out(str(person), method, one))
    return found


def _blind(person: Person) -> Iterable[Outcome]:
    judged = Judgement.objects.filter(artifact__person=person, artifact__kind__in=ACTING)
    alike, won = Judgement.Answer.ALIKE, Judgement.Answer.ARTIFACT
    for row in judged.values("artifact", "artifact__job__method").annotate(
        n=Count("pk"),
        won=Count("pk", filter=Q(answer=won)),
        alike=Count("pk", filter=Q(answer=alike)),
    ):
        share = wilson(row["won"] + row["alike"] / 2, row["n"])
        yield Outcome(str(person.pk), row["artifact__job__method"], share)


def reached(messages: Mapping[str, int], methods: Collection[str]) -> list[Measured]:
    """Return for each of these methods the measured row with the most feedback that the person has.

    Of a method that was measured with more only, the one with the least.
    """
    found = adviser.reached(messages, table())
    for row in sorted(table(), key=lambda row: row.amount):
        found.setdefault(row.method, row)
    return [found[method] for method in sorted(found) if method in methods]
