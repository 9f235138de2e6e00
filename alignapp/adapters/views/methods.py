"""Ways to learn: every method that feedback can teach with, and what was measured of it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alignapp.adapters.pages.methods import methods_page
from alignapp.answers import PersonRequest


@login_required
@require_GET
def methods(request: PersonRequest) -> HttpResponse:
    """Show them by kind of feedback, whether they are on here, and how much of that kind the person gave."""
    return render(request, "adapters/methods.html", methods_page(request.user))
