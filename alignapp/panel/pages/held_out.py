"""How several artifacts do on the same held-out comparisons, in words: for the page, programs and terminals.

Knows nothing of requests, nor of models: a worker puts the comparisons to them (`adapters.comparison`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from alignapp.adapters import comparison
from alignapp.adapters.models import Artifact, Job
from alignapp.charts import interval_words, p_words, percent, signed
from personalization.statistics import Estimate

# Personalities are proven on statements of the inventory, not on comparisons of answers.
PUT_TO = (Artifact.Kind.ADAPTER, Artifact.Kind.VECTOR, Artifact.Kind.VALUES)


@dataclass(frozen=True, slots=True)
class Share:
    """How often one of them prefers what the person preferred; `own`: it is this person's."""

    name: str
    right: str
    interval: str
    own: bool


@dataclass(frozen=True, slots=True)
class Paired:
    """Two of them on the same comparisons: whose, and by how many points the second is oftener right."""

    names: str
    points: str
    interval: str
    p: str


@dataclass(frozen=True, slots=True)
class Personal:
    """By how many points a person's own are oftener right than the others', on this person's comparisons."""

    points: str
    interval: str


@dataclass(frozen=True, slots=True)
class Of:
    """What one person held out, put to all of them; `problem` says why there is nothing."""

    person: str
    problem: str = ""
    conversations: int = 0
    comparisons: int = 0
    right: list[Share] = field(default_factory=list)
    pairs: list[Paired] = field(default_factory=list)
    personal: Personal | None = None


def held_out_of(artifacts: Sequence[Artifact]) -> dict[str, Any] | None:
    """Return how they do on what their people held out: `people`, one `Of` for each, and `rows` for a table.

    `waits` while a worker asks, with `done` and `of` its readings or, before it began, the jobs that are
    `running`; `problem` where nothing can be put to them; None where none of it fits.
    """
    ordered = sorted(artifacts, key=lambda a: str(a.pk))
    if any(a.kind not in PUT_TO for a in ordered):
        return None
    found = comparison.compared(ordered, comparison.HELD_OUT)
    if found is None:
        return {"waits": True, "problem": "", **_waiting(ordered)}
    if found.get("problem"):
        return {"waits": False, "problem": found["problem"]}
    several = len({a.person_id for a in ordered}) > 1
    names = [_("Base model"), *(f"{a}, {a.person.pseudonym}" if several else str(a) for a in ordered)]
    people = [_of(names, told, paired=not several) for told in found["people"]]
    if not several and people[0].problem:
        return {"waits": False, "problem": people[0].problem}
    measured = [one for one in people if one.right]
    return {
        "people": people,
        "measured": measured,
        "rows": list(zip(*(o.right for o in measured), strict=True)),
    }


def _waiting(ordered: Sequence[Artifact]) -> dict[str, Any]:
    """Say how far the worker is, and before it began which jobs it may have to finish first."""
    if progress := comparison.progress(ordered, comparison.HELD_OUT):
        return {"done": progress[0], "of": progress[1]}
    return {"running": list(Job.objects.filter(state=Job.State.RUNNING).order_by("started_at"))}


def as_json(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same, JSON-ready."""
    if found.get("problem"):
        return {"problem": found["problem"], "people": []}
    return {"problem": "", "people": [asdict(one) for one in found["people"]]}


def lines(told: Mapping[str, Any]) -> list[str]:
    """Return what `as_json` told, for a terminal."""
    said = [told["problem"]] if told["problem"] else []
    for one in told["people"]:
        if one["problem"]:
            said.append(f"{one['person']}: {one['problem']}")
            continue
        said.append(f"Held out by {one['person']}: {one['comparisons']} clear comparisons")
        for row in one["right"]:
            said.append(f"  {row['name']}{' (own)' if row['own'] else ''}: {row['right']}, {row['interval']}")
        said += [f"  {row['names']}: {row['points']} points, {row['interval']}" for row in one["pairs"]]
        if personal := one["personal"]:
            said.append(f"  Own minus others': {personal['points']} points, {personal['interval']}")
    return said


def _of(names: Sequence[str], told: Mapping[str, Any], *, paired: bool) -> Of:
    if problem := told.get("problem"):
        return Of(told["person"], problem)
    right = [Estimate.of_json(one) for one in told["accuracy"]]
    return Of(
        told["person"],
        conversations=told["conversations"],
        comparisons=right[0].n,
        right=[
            Share(name, percent(one.value), interval_words(one.low, one.high, percent), place in told["own"])
            for place, (name, one) in enumerate(zip(names, right, strict=True))
        ],
        pairs=[_paired(names, each) for each in told["differences"]] if paired else [],
        personal=Personal(*_points(told["personal"])) if told["personal"] else None,
    )


def _paired(names: Sequence[str], told: Mapping[str, Any]) -> Paired:
    which = {"second": names[told["second"]], "first": names[told["first"]]}
    return Paired(_("%(second)s minus %(first)s") % which, *_points(told["gain"]), p_words(told["p"]))


def _points(told: Mapping[str, Any]) -> tuple[str, str]:
    gain, number = Estimate.of_json(told), signed(0)
    return number(100 * gain.value), interval_words(100 * gain.low, 100 * gain.high, number)
