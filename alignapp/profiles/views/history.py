"""What was stated when: every version, and what it changed."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from alignapp.answers import PersonRequest
from alignapp.profiles import wording
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.results import charts_of

PAGE_SIZE = 20


@login_required
@require_GET
def versions(request: PersonRequest) -> HttpResponse:
    """List the versions, newest first."""
    page = Paginator(ProfileVersion.objects.for_person(request.user), PAGE_SIZE).get_page(
        request.GET.get("page")
    )
    shown = list(page)
    # The one before the oldest shown is needed to say what that one changed.
    oldest = shown[-1].number if shown else 0
    below = ProfileVersion.objects.for_person(request.user).filter(number__lt=oldest).first()
    rows = [
        (version, wording.changes(before, version))
        for version, before in zip(shown, [*shown[1:], below], strict=bool(shown))
    ]
    return render(request, "profiles/history.html", {"page": page, "rows": rows})


@login_required
@require_GET
def version(request: PersonRequest, version_id: uuid.UUID) -> HttpResponse:
    """Show one version as it was."""
    owned = ProfileVersion.objects.for_person(request.user)
    found = get_object_or_404(owned, id=version_id)
    before = owned.filter(number__lt=found.number).first()
    newest = owned.first()
    context = {
        "version": found,
        "is_current": newest is not None and newest.pk == found.pk,
        "changes": wording.changes(before, found),
        "values": wording.chosen_rows(found.values),
        "answers": wording.survey_rows(found.survey),
        "lines": [(line["text"], wording.source_label(line["source"])) for line in found.system_lines],
        "domains": charts_of(found.personality),
    }
    return render(request, "profiles/version.html", context)
