"""The page of the profile: preferences as sliders, own words, use, demographics; everything optional."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from alignapp.answers import PersonRequest
from alignapp.numbers import whole
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.services import current_profile, new_version
from alignapp.profiles.wording import saved_words
from personalization.profiles.questions import SECTIONS, Question
from personalization.profiles.survey import WORDS, check, raw_of, slider_words

MIDDLE = 50  # where a slider's hidden thumb waits


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: PersonRequest) -> HttpResponse:
    """Show the answers, or save them as the next version."""
    current = current_profile(request.user)
    if request.method == "GET":
        return _page(request, raw_of(current.survey if current else {}), {})
    raw = dict(request.POST.lists())
    checked = check(raw)
    if checked.errors:
        return _page(request, raw, checked.errors)
    if not checked.content and current is None:
        messages.info(request, _("Nothing is filled in yet, so there is nothing to save."))
        return redirect("profiles:survey")
    after = new_version(request.user, ProfileVersion.Section.SURVEY, survey=checked.content)
    if current is not None and after.pk == current.pk:
        messages.info(request, _("Nothing changed, so there is no new version."))
    else:
        messages.success(request, saved_words(after), extra_tags="good")
    return redirect("profiles:overview")


def _page(
    request: PersonRequest, raw: Mapping[str, Sequence[str]], errors: Mapping[str, str]
) -> HttpResponse:
    sections = [
        {"section": section, "questions": [_shown(q, raw, errors) for q in section.questions]}
        for section in SECTIONS
    ]
    context = {
        "sections": sections,
        "errors": errors,
        "focus": next(iter(errors), ""),
        "slider_words": "|".join(_(words) for words in WORDS),
        "nothing_said": _(slider_words(None)),
    }
    return render(request, "profiles/survey.html", context, status=400 if errors else 200)


def _shown(question: Question, raw: Mapping[str, Sequence[str]], errors: Mapping[str, str]) -> dict[str, Any]:
    """Return a question with what is in the form now, right or wrong."""
    given = list(raw.get(question.name, ()))
    value: Any = given[0] if given else ""
    is_set = bool(raw.get(f"{question.name}.set"))
    shown: dict[str, Any] = {
        "question": question,
        "id": question.name.replace(".", "-"),
        "value": value,
        "given": given,
        "error": errors.get(question.name, ""),
        "other": (list(raw.get(f"{question.name}.other", ())) or [""])[0],
        "other_error": errors.get(f"{question.name}.other", ""),
        "is_declined": bool(raw.get(f"{question.name}.declined")),
    }
    if question.kind == "slider":
        said = whole(value)
        place = said if said is not None and said <= 100 else MIDDLE
        shown |= {"value": place, "is_set": is_set, "words": _(slider_words(place if is_set else None))}
    return shown
