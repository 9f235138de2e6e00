"""Tables of the quality page as files: every figure, the ratings behind them, and decisions.

Knows nothing of requests. CSV is written line by line; cells that a spreadsheet would run are made text.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from alignapp.annotation.models import Project
from alignapp.quality.figures import figures_of
from alignapp.quality.judgements import judgements_of
from alignapp.quality.models import Adjudication

FIGURE_COLUMNS = ("figure", "label", "value", "low", "high", "n", "flagged", "unit", "words")
JUDGEMENT_COLUMNS = (
    *("person", "item", "protocol", "candidate", "maker", "value", "on_own_scale", "position"),
    *("is_repeat", "seconds"),
)
DECISION_COLUMNS = ("item", "prompt", "decision", "reason", "who", "at", "in_force")
RUNS = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file that gives back what is written: csv can then write into a generator."""

    def write(self, text: str) -> str:
        return text


def figures_csv(project: Project, key: str) -> Iterator[str]:
    """Yield one figure, or all of them, as CSV: a line for each row, one for a figure without rows."""
    return _lines(FIGURE_COLUMNS, _figure_rows(_chosen(project, key)))


def figures_json(project: Project, key: str) -> Iterator[str]:
    """Yield one figure, or all of them, as JSON."""
    yield json.dumps(_chosen(project, key), indent=1, ensure_ascii=False)


def judgements_csv(project: Project) -> Iterator[str]:
    """Yield what each person said of each candidate, also in deviations from their own mean."""
    return _lines(JUDGEMENT_COLUMNS, _judgement_rows(project))


def judgements_json(project: Project) -> Iterator[str]:
    """Yield the same as JSON, a list of objects."""
    yield "["
    for number, row in enumerate(_judgement_rows(project)):
        yield (",\n" if number else "\n") + json.dumps(dict(zip(JUDGEMENT_COLUMNS, row, strict=True)))
    yield "\n]\n"


def decisions_csv(project: Project) -> Iterator[str]:
    """Yield every decision on an item, those that were replaced too, oldest first."""
    return _lines(DECISION_COLUMNS, _decision_rows(project))


def decisions_json(project: Project) -> Iterator[str]:
    """Yield the same as JSON, a list of objects."""
    rows = [dict(zip(DECISION_COLUMNS, row, strict=True)) for row in _decision_rows(project)]
    yield json.dumps(rows, indent=1, ensure_ascii=False)


def _decision_rows(project: Project) -> Iterator[tuple[Any, ...]]:
    made = Adjudication.objects.filter(item__project=project).select_related("item", "decided_by")
    for one in made.prefetch_related("item__candidates"):
        place = {str(candidate.id): candidate.position + 1 for candidate in one.item.candidates.all()}
        ranking = " > ".join(" = ".join(str(place.get(i, "?")) for i in tie) for tie in one.ranking)
        in_force = one.superseded_at is None
        yield (
            *(one.item.key, one.item.prompt, ranking, one.reason, str(one.decided_by)),
            *(one.created_at.isoformat(), in_force),
        )


def _chosen(project: Project, key: str) -> list[dict[str, Any]]:
    return [one for one in figures_of(project) if key in ("all", one["key"])]


def _figure_rows(figures: Iterable[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for figure in figures:
        for row in figure["rows"] or [{}]:
            cells = (row.get(name) for name in ("label", "value", "low", "high", "n", "flagged"))
            yield (figure["key"], *cells, figure["unit"], figure["words"])


def _judgement_rows(project: Project) -> Iterator[tuple[Any, ...]]:
    from personalization.agreement.standardised import standardised

    said = [one for one in judgements_of(project) if not one.skipped]
    for one, own in zip(said, standardised(said), strict=True):
        rated = one.form in ("rating", "steps", "attributes")
        for candidate, value in one.values.items():
            position = one.shown.index(candidate) if candidate in one.shown else None
            scaled = round(own.values[candidate], 4) if rated else None
            maker = one.makers.get(candidate, "")
            yield (
                *(one.person, one.item, one.name, candidate, maker, value, scaled, position),
                *(one.is_repeat, one.seconds),
            )


def _lines(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_cell(one) for one in row])


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(RUNS) else value
