"""One page that says what is stated and what comes next."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alignapp.answers import PersonRequest
from alignapp.profiles import wording
from alignapp.profiles.models import InventoryAnswer
from alignapp.profiles.results import is_stale
from alignapp.profiles.services import current_profile
from personalization.inventory.items import ITEM_COUNT


@login_required
@require_GET
def overview(request: PersonRequest) -> HttpResponse:
    """Show the three parts that a person may fill in, each with its state."""
    current = current_profile(request.user)
    answers = InventoryAnswer.of(request.user)
    answered = len(answers)
    context = {
        "profile": current,
        "value_rows": wording.chosen_rows(current.values)[:5] if current else [],
        "value_count": len(wording.chosen_rows(current.values)) if current else 0,
        "answered": answered,
        "item_count": ITEM_COUNT,
        "progress": wording.progress_words(answered),
        "has_scores": bool(current and current.personality),
        "is_stale": is_stale(current, answers),
        "survey_count": len(wording.survey_rows(current.survey)) if current else 0,
        "is_empty": current is None and not answered,
    }
    return render(request, "profiles/overview.html", context)
