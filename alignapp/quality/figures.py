"""A project's figures: computed when somebody looks, kept until an answer comes in, and laid out as charts.

Knows nothing of requests. numpy and scipy are imported with the figures, where they are needed: they would
make the start of the web half as long again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db.models import Count, Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp import charts
from alignapp.annotation import protocols
from alignapp.annotation.models import Annotation, Assignment, Project
from alignapp.quality.judgements import judgements_of, sample_of, stored

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

KEPT_SECONDS = 24 * 3600
_CAPTIONS = {
    "share": gettext_lazy("Share"),
    "agreement": gettext_lazy("Coefficient; 1 is perfect agreement"),
    "seconds": gettext_lazy("Seconds, median"),
    "count": gettext_lazy("Answers"),
    "points": gettext_lazy("Mean rating"),
    "deviations": gettext_lazy("Standard deviations from each person's own mean"),
}
DRAWN_ROWS = 40  # more than a page reads; an export has all
PARTS = (
    ("people", ("progress", "consistency", "taste", "alpha", "concordance", "kappa")),
    ("answers", ("contradictions", "left", "length", "ties")),
    ("makers", ("ratings", "own_ratings", "strengths", "preferences")),
    ("work", ("gold", "attention", "time", "fast", "straight", "skips")),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One figure on the page: its sentence, and its rows as a chart; None where it has none yet."""

    key: str
    title: str
    words: str
    chart: charts.BarChart | None
    left_out: int


def figures_of(project: Project, *, in_words: bool = False) -> list[dict[str, Any]]:
    """Return every figure of a project as plain data. Two queries where nothing is new since last time.

    `in_words`: protocols are called as people call them; otherwise as they are stored, for exports.
    """
    from personalization.agreement.report import figures

    key = f"quality-2:{project.pk}:{state_of(project)}:{'words' if in_words else 'names'}"
    found: list[dict[str, Any]] | None = cache.get(key)
    if found is None:
        call = protocols.label if in_words else stored
        said = judgements_of(project, call=call, within=sample_of(project))
        found = [one.as_dict() for one in figures(said)]
        cache.set(key, found, KEPT_SECONDS)
    return found


def consistency_of(project: Project, person: Person) -> Shown:
    """Return how far one person agrees with themselves in a project, laid out: their own answers only."""
    from personalization.agreement.figures import percent
    from personalization.agreement.repeats import consistency

    found = consistency(judgements_of(project, person))
    if found is None:
        words = _("No item came twice for you, so nothing can be said.")
        return Shown("mine", "", words, None, 0)
    words = _("You said the same again in %(share)s of %(n)d comparisons; an “alike” counts half.")
    bars = [
        charts.Bar(_("You"), found.value, found.low, found.high, found.n),
        charts.Bar(_("a coin"), 0.5, kind="muted"),
    ]
    chart = charts.bar_chart(_("Agreement with yourself"), bars, scale=charts.Scale(reference=0.5))
    return Shown("mine", chart.title, words % {"share": percent(found), "n": found.n}, chart, 0)


def shown(figure: dict[str, Any]) -> Shown:
    """Lay one figure out; flagged rows are drawn as such, and more rows than a page reads are left out."""
    rows = sorted(figure["rows"], key=lambda row: not row["flagged"])[:DRAWN_ROWS]
    bars = [
        charts.Bar(
            row["label"],
            row["value"],
            row["low"],
            row["high"],
            None if figure["unit"] == "count" else int(row["n"]),
            "warn" if row["flagged"] else "",
        )
        for row in rows
    ]
    chart = None
    if bars:
        quartiles = _("quartiles") if figure["unit"] == "seconds" else ""
        caption = _CAPTIONS[figure["unit"]]
        chart = charts.bar_chart(str(caption), bars, scale=_scale(figure), interval_name=quartiles)
    return Shown(figure["key"], figure["title"], figure["words"], chart, len(figure["rows"]) - len(rows))


def state_of(project: Project) -> str:
    """Return what changes with every answer, and with every item put aside or given back. Two queries."""
    rows = Annotation.objects.filter(submission__assignment__item__project=project).order_by()
    acts = rows.aggregate(count=Count("pk"), last=Max("created_at"))
    states = Assignment.objects.filter(item__project=project).order_by().values_list("state")
    counts = dict(states.annotate(Count("pk")))
    last = acts["last"].timestamp() if acts["last"] else 0
    return ":".join(map(str, (acts["count"], last, *(counts.get(one, 0) for one in Assignment.State))))


def _scale(figure: dict[str, Any]) -> charts.Scale:
    ends = [row[end] for row in figure["rows"] for end in ("value", "low", "high") if row[end] is not None]
    unit, chance = figure["unit"], figure["chance"]
    if unit == "share" and min(ends) >= 0:
        return charts.Scale(reference=chance, origin=chance if chance is not None else 0.0)
    if unit == "deviations":
        most = max(1.0, *map(abs, ends))
        return charts.Scale(-most, most, origin=0.0, reference=chance, number=charts.signed(2))
    if unit in ("share", "agreement"):
        low = -1.0 if min(ends) < 0 else 0.0
        return charts.Scale(low, 1.0, origin=0.0, reference=chance, number=charts.plain(2))
    return charts.whole(max(ends))
