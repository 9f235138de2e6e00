"""The page of values: pick, weigh, add your own, see the message that comes of it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from alignapp.adapters.services import follow_values
from alignapp.answers import PersonRequest
from alignapp.profiles import services
from alignapp.profiles.forms import IMPORTANCE, OWN_ROWS, OwnRow, ValuesForm
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.wording import IMPORTANCE as IMPORTANCE_WORDS
from alignapp.profiles.wording import saved_words, source_label
from personalization.values.composer import BUDGET_TOKENS, OWN_LIMIT
from personalization.values.taxonomy import Value, dimensions

SPARE_ROWS = 2  # empty rows for own values, so that the page works without scripts


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: PersonRequest) -> HttpResponse:
    """Show what is picked, or save it; contradictions are shown before anything is saved."""
    current = services.current_profile(request.user)
    if request.method == "GET":
        return _page(request, ValuesForm(_as_posted(current)), current)
    form = ValuesForm(request.POST)
    if "add_row" in request.POST:
        form.is_valid()
        form.rows += [OwnRow() for _n in range(SPARE_ROWS)]
        return _page(request, form, current)
    if not form.is_valid():
        return _page(request, form, current, status=400)
    if form.not_yet_accepted():
        return _page(request, form, current, asks=True)
    after = services.new_version(request.user, ProfileVersion.Section.VALUES, values=form.content)
    if current is not None and after.pk == current.pk:
        messages.info(request, _("Nothing changed, so there is no new version."))
    else:
        started = follow_values(request.user)
        messages.success(request, saved_words(after, started=started is not None), extra_tags="good")
    return redirect("profiles:values" if after.system_edited else "profiles:overview")


@login_required
@require_POST
def preview(request: PersonRequest) -> HttpResponse:
    """Return the message that the form would make, and what contradicts what. Saves nothing."""
    form = ValuesForm(request.POST)
    form.is_valid()
    current = services.current_profile(request.user)
    return render(request, "profiles/_preview.html", _preview_context(form, current))


def _as_posted(current: ProfileVersion | None) -> QueryDict:
    """Return the form data that would make the current values."""
    data = QueryDict(mutable=True)
    content = current.values if current else {}
    data.setlist("chosen", [item["key"] for item in content.get("chosen", [])])
    for item in content.get("chosen", []):
        data[f"importance-{item['key']}"] = str(item["importance"])
    data.setlist("own_text", [item["text"] for item in content.get("own", [])])
    data.setlist("own_importance", [str(item["importance"]) for item in content.get("own", [])])
    return data


def _page(
    request: PersonRequest,
    form: ValuesForm,
    current: ProfileVersion | None,
    *,
    asks: bool = False,
    status: int = 200,
) -> HttpResponse:
    form.is_valid()
    rows = [row for row in form.rows if row.text or row.error]
    # Empty rows stay at the end: as many as were asked for, and at least one.
    empty = max(SPARE_ROWS if not rows else 1, len(form.rows) - len(rows))
    rows += [OwnRow() for _n in range(min(empty, max(0, OWN_ROWS - len(rows))))]
    context = {
        "form": form,
        "dimensions": _dimensions(form),
        "rows": list(enumerate(rows)),
        "weights": IMPORTANCE_WORDS.items(),
        "default_importance": IMPORTANCE,
        "own_limit": OWN_LIMIT,
        "blank_row": OwnRow(),
        "asks": asks,
        "focus_row": next((i for i, row in enumerate(rows) if row.error), None),
        **_preview_context(form, current),
    }
    return render(request, "profiles/values.html", context, status=status)


def _preview_context(form: ValuesForm, current: ProfileVersion | None) -> dict[str, Any]:
    composed = services.composed_of(current, values=form.content)
    clashes = form.contradictions()
    return {
        "contradictions": clashes,
        "accepts": " ".join(f"{c.first}/{c.second}" for c in clashes),
        "picked": len(form.content["chosen"]) + len(form.content["own"]),
        "lines": [(line.text, source_label(line.source)) for line in composed.lines],
        "dropped": [(d.text, source_label(d.source), d.reason) for d in composed.dropped],
        "tokens": composed.tokens,
        "budget": BUDGET_TOKENS,
        "by_hand": bool(current and current.system_edited),
    }


def _dimensions(form: ValuesForm) -> list[dict[str, Any]]:
    """Return the taxonomy for the page, with what is picked in this form."""
    weights = {item["key"]: item["importance"] for item in form.content["chosen"]}
    shown = []
    for dimension in dimensions():
        groups = []
        for group in dimension.groups:
            rows = [
                (value, value.key in weights, weights.get(value.key, IMPORTANCE)) for value in group.values
            ]
            groups.append({"group": group, "rows": rows, "picked": _picked(group.values, weights)})
        every = [value for group in dimension.groups for value in group.values]
        shown.append({"dimension": dimension, "groups": groups, "picked": _picked(every, weights)})
    return shown


def _picked(values: Iterable[Value], weights: Container[str]) -> int:
    return sum(value.key in weights for value in values)
