"""The page "Values at work": a slider for each stated value, what it was measured to do, and side effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from alignapp.adapters import services
from alignapp.adapters.card import evidence
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.pages.parts import strength_words
from alignapp.charts import Bar, Scale, bar_chart, heat_map, percent, signed
from alignapp.profiles import effects
from alignapp.profiles.services import current_profile, strengths_of
from personalization.statistics import clustered_mean
from personalization.values.effects import works
from personalization.values.measures import measures
from personalization.values.taxonomy import values

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

METHOD = "values"
FIELD = "strength-"


@dataclass(frozen=True, slots=True)
class ValueView:
    """One stated value: its slider, and what its direction was measured to do at strength 1."""

    key: str
    label: str
    field: str
    strength: str
    words: str
    measure: str
    win_rate: str
    interval: str
    relevance: str
    is_weak: bool


def values_page(person: Person) -> dict[str, Any]:
    """Return the page's context. Reads the manifests of the build."""
    built = effects.built()
    strengths = strengths_of(current_profile(person))
    made = {key: each for key, each in built.items() if each["kind"] != "none"}
    version = services.current_alignment(person)
    active = version.values if version else None
    newest = Artifact.objects.for_person(person).filter(kind=METHOD).select_related("report_card").first()
    jobs = Job.objects.for_person(person).filter(method=METHOD)
    known = values()
    return {
        "acting": [
            _view(key, strengths[key], made[key]) for key in known if key in strengths and key in made
        ],
        "left": [known[key].label for key in known if key in strengths and key not in made],
        "unmeasured": len([key for key in known if key not in measures()]),
        "total": len(known),
        "is_built": bool(made),
        "active": active,
        "stays_off": (newest, evidence(newest)) if newest and newest != active else None,
        "job": jobs.exclude(state__in=Job.ENDED).first(),
        "failed": jobs.filter(state=Job.State.DEAD).first()
        if not jobs.filter(state=Job.State.DONE)
        else None,
        "chart": _chart(made) if made else None,
        "heat": _heat(made) if made else None,
        **_in_words(made),
        "model": next(iter(made.values()))["model"] if made else "",
    }


def _view(key: str, strength: float, made: Mapping[str, Any]) -> ValueView:
    report = made["report"]
    win, near = report["win_rate"], report["relevance"]["value"]
    return ValueView(
        key=key,
        label=values()[key].label,
        field=f"{FIELD}{key}",
        strength=f"{strength:g}",
        words=strength_words(strength),
        measure=made["measure"],
        win_rate=percent(win["value"]),
        interval=_("%(low)s to %(high)s") % {"low": percent(win["low"]), "high": percent(win["high"])},
        relevance=signed(2)(near),
        is_weak=not works(made),
    )


def _ordered(made: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted(made, key=lambda key: -made[key]["report"]["win_rate"]["value"])


def _chart(made: Mapping[str, Mapping[str, Any]]) -> Any:
    return _measured([(key, made[key]["report"]) for key in _ordered(made)])


def acting_chart(results: Mapping[str, Any]) -> Any:
    """Return what the values in an artifact were measured to do; None on a card without any."""
    rows = results.get("values")
    return _measured([(row["value"], row) for row in rows]) if rows else None


def _measured(reports: Iterable[tuple[str, Mapping[str, Any]]]) -> Any:
    bars = [
        Bar(
            values()[key].label,
            (win := report["win_rate"])["value"],
            win["low"],
            win["high"],
            win["n"],
            kind="" if report["sound"] else "warn",
        )
        for key, report in reports
    ]
    note = _(
        "Fresh answers to questions that nothing was chosen by, against the base model's. The dashed line is "
        "what chance reaches. Another colour: the answers left the question or repeated themselves more."
    )
    return bar_chart(_("How often it shows more of the value"), bars, scale=Scale(reference=0.5), note=note)


def _in_words(made: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the chart and the rows that set asking in words beside the direction; nothing unmeasured."""
    messages = effects.messages()
    arms = {
        key: [messages[key]["message"], made[key]["report"], messages[key]["both"]]
        for key in _ordered(made)
        if key in messages
    }
    if not arms:
        return {}
    names = [_("System message alone"), _("Direction alone"), _("Both")]
    bars = []
    for name, trials in zip(names, zip(*arms.values(), strict=True), strict=True):
        mean = clustered_mean([trial["win_rate"]["value"] for trial in trials], list(arms))
        bars.append(Bar(name, mean.value, mean.low, mean.high, mean.n))
    note = _("Means over the values, on the same fresh questions. The dashed line is what chance reaches.")
    rows = [
        (values()[key].label, [percent(trial["win_rate"]["value"]) for trial in trials])
        for key, trials in arms.items()
    ]
    chart = bar_chart(_("Asked in words, or by the direction"), bars, scale=Scale(reference=0.5), note=note)
    return {"words_chart": chart, "words_names": names, "words_rows": rows}


def _heat(made: Mapping[str, Mapping[str, Any]]) -> Any:
    keys = _ordered(made)
    labels = [values()[key].label for key in keys]
    rows = [
        (label, [made[key]["report"]["effects"][column] for column in keys])
        for label, key in zip(labels, keys, strict=True)
    ]
    note = _(
        "Rows are directions at strength 1, columns what is measured; in standard deviations of the model's "
        "own answers. The framed cells are what is asked for, all others are side effects."
    )
    return heat_map(_("What else each value changes"), labels, rows, note=note)
