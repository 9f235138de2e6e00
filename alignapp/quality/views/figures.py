"""The quality page of a project for those who manage it, its exports, and each annotator's own page."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alignapp.annotation.models import Project
from alignapp.annotation.rights import joined_project, managed_project
from alignapp.answers import PersonRequest, wants_fragment
from alignapp.quality import exports
from alignapp.quality.figures import PARTS, consistency_of, figures_of, shown
from alignapp.quality.judgements import MOST_ITEMS, sample_of

TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
Writer = Callable[[Project], Iterator[str]]
TABLES: dict[str, dict[str, Writer]] = {
    "judgements": {"csv": exports.judgements_csv, "json": exports.judgements_json},
    "decisions": {"csv": exports.decisions_csv, "json": exports.decisions_json},
}
KEYS = {"all", *TABLES, *(key for _part, keys in PARTS for key in keys)}


@login_required
@require_GET
def quality(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Show every figure of a project; HTMX asks for the figures alone, again and again."""
    project = managed_project(request, project_id)
    by_key = {one["key"]: shown(one) for one in figures_of(project, in_words=True)}
    parts = []
    for part, keys in PARTS:
        figures = [by_key[key] for key in keys]
        parts.append((part, [f for f in figures if f.chart], [f for f in figures if not f.chart]))
    template = "quality/_figures.html" if wants_fragment(request) else "quality/quality.html"
    sampled = MOST_ITEMS if sample_of(project) is not None else 0
    response = render(request, template, {"project": project, "parts": parts, "sampled": sampled})
    response["Vary"] = "HX-Request, Cookie"
    return response


@login_required
@require_GET
def export(request: PersonRequest, project_id: uuid.UUID, table: str, kind: str) -> HttpResponse:
    """Send one figure, all of them, the judgements behind them, or decisions, as a file."""
    project = managed_project(request, project_id)
    if table not in KEYS or kind not in TYPES:
        raise Http404
    response = HttpResponse(_writer(table, kind)(project), content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="{table}.{kind}"'
    return response


@login_required
@require_GET
def mine(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Show a member how far they agree with themselves, once the project is closed: nobody else's answers."""
    project = joined_project(request, project_id)
    found = None if project.is_open else consistency_of(project, request.user)
    return render(request, "quality/mine.html", {"project": project, "figure": found})


def _writer(table: str, kind: str) -> Writer:
    if table in TABLES:
        return TABLES[table][kind]
    write = {"csv": exports.figures_csv, "json": exports.figures_json}[kind]
    return lambda project: write(project, table)
