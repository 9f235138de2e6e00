"""What the page of a study says of its reward models: figures, plots, and what they may be used for."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp import charts
from alignapp.studies.models import Arm, RewardModel, Study

NAMES = {
    "bradley_terry": gettext_lazy("Bradley-Terry, all people"),
    "more": gettext_lazy("MORE, all people"),
    "others": gettext_lazy("Bradley-Terry, the other people"),
    "more_others": gettext_lazy("MORE, the other people"),
    "length": gettext_lazy("The length alone"),
}
BY_PERSON = ("bradley_terry", "more", "others", "length")
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One judge's figures, in words."""

    name: str
    right: str
    by_items: str
    by_people: str
    brier: str
    ece: str


@dataclass(frozen=True, slots=True)
class RewardView:
    """What is shown of a study's reward models."""

    reward: RewardModel
    words: list[str]
    chart: charts.BarChart
    rows: list[Row]
    differences: list[tuple[str, str, str, str, str]]  # name, accuracy, interval, Brier, p
    plots: list[charts.Reliability]
    people: list[tuple[str, list[str], int]]  # pseudonym, right by BY_PERSON, comparisons
    people_columns: list[str]


def view_of(study: Study, arms: Sequence[Arm]) -> RewardView | None:
    """Return the view of a study's reward models; None while there are none. One query."""
    reward = RewardModel.objects.filter(study=study).first()
    if reward is None:
        return None
    results = reward.results
    return RewardView(
        reward=reward,
        words=_words(reward),
        chart=_chart(results),
        rows=[
            _row(str(name), results["judges"][key]) for key, name in NAMES.items() if key in results["judges"]
        ],
        differences=[_difference(one) for one in results["differences"]],
        plots=_plots(results),
        people=[_person(arm) for arm in arms if arm.judgements],
        people_columns=[str(NAMES[key]) for key in BY_PERSON],
    )


def _words(reward: RewardModel) -> list[str]:
    results, serves = reward.results, reward.way
    found, length = results["judges"][serves]["accuracy"], results["judges"]["length"]["accuracy"]
    known = {
        "n": results["comparisons"],
        "items": results["items"],
        "name": NAMES[serves],
        "right": charts.percent(found["value"]),
        "ends": charts.interval_words(found["low"], found["high"], charts.percent),
        "length": charts.percent(length["value"]),
    }
    numbers = _(
        "On %(n)d comparisons in %(items)d items that no reward model saw, “%(name)s” is right in %(right)s "
        "(95 %% interval over items: %(ends)s), always going by the length in %(length)s, a coin in 50 %%."
    )
    return [_means(reward), numbers % known]


def _means(reward: RewardModel) -> str:
    beaten = next(
        (d for d in reward.results["differences"] if (d["one"], d["other"]) == (reward.way, "length")), None
    )
    if not reward.is_useful:
        return _(
            "It cannot be told that the reward models know these people: on held-out items they may be no "
            "better than a coin. They choose nothing. More items, judged by the same people, would help."
        )
    if beaten and beaten["p"] < SIGNIFICANT and beaten["accuracy"]["value"] > 0:
        return _("The reward models order answers better than a coin, and better than the length alone does.")
    return _(
        "The reward models order answers better than a coin; that they know more than the length of an "
        "answer is not shown."
    )


def _chart(results: Mapping[str, Any]) -> charts.BarChart:
    bars = [
        charts.Bar(
            str(name), one["value"], one["low"], one["high"], one["n"], "muted" if key == "length" else ""
        )
        for key, name in NAMES.items()
        if key in results["judges"]
        for one in (results["judges"][key]["accuracy"],)
    ]
    note = _(
        "The dashed line is a coin. “The other people” is learned without the person whose choice it is."
    )
    title = _("Prefers what the person preferred, on held-out items")
    return charts.bar_chart(title, bars, scale=charts.Scale(reference=0.5), note=note)


def _row(name: str, figures: Mapping[str, Any]) -> Row:
    right, people, found = figures["accuracy"], figures["by_people"], figures["calibration"]
    brier, ece = (found["brier"], found["ece"]) if found else (None, None)
    number = charts.plain(3)
    return Row(
        name,
        charts.percent(right["value"]),
        charts.interval_words(right["low"], right["high"], charts.percent),
        charts.interval_words(people["low"], people["high"], charts.percent),
        f"{number(brier['value'])} ({_ends(brier, number)})" if brier else "",
        f"{number(ece['value'])} ({_ends(ece, number)}; {number(found['ece_by_chance'])})" if ece else "",
    )


def _difference(one: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    points = charts.signed(0)
    right, brier = one["accuracy"], one["brier"]
    return (
        _("%(one)s minus %(other)s") % {"one": NAMES[one["one"]], "other": NAMES[one["other"]]},
        points(100 * right["value"]),
        _ends(right, lambda value: points(100 * value)),
        f"{charts.signed(3)(brier['value'])} ({_ends(brier, charts.signed(3))})",
        charts.p_words(one["p"]),
    )


def _ends(one: Mapping[str, float], number: charts.Number) -> str:
    return charts.interval_words(one["low"], one["high"], number)


def _plots(results: Mapping[str, Any]) -> list[charts.Reliability]:
    note = _("On the dashed line it is as often right as it is sure. Lines are 95 % intervals.")
    found = []
    for key in ("bradley_terry", "more"):
        calibration = results["judges"][key]["calibration"]
        title = _("%(name)s: sure against right") % {"name": NAMES[key]}
        if calibration and (plot := charts.reliability(title, calibration["bins"], note=note)):
            found.append(plot)
    return found


def _person(arm: Arm) -> tuple[str, list[str], int]:
    said = [each for _conversation, each in arm.judgements.values()]
    shares = [
        charts.percent(statistics.fmean(each[key] for each in said)) if key in said[0] else "–"  # noqa: RUF001
        for key in BY_PERSON
    ]
    return str(arm.person), shares, len(said)
