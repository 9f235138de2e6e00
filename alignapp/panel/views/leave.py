"""A person's own page about others: who looked at their data, and leave for a supporter to look."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from alignapp.answers import PersonRequest
from alignapp.audit.models import AuditEvent
from alignapp.audit.services import record
from alignapp.audit.wording import in_words
from alignapp.panel.forms import LeaveForm, RevealForm
from alignapp.panel.models import SupportLeave
from alignapp.panel.people import LOOKS

SHOWN = 50


@login_required
@require_GET
def page(request: PersonRequest) -> HttpResponse:
    """Show the leave in force and the looks."""
    looks = AuditEvent.objects.filter(subject=request.user, verb__in=LOOKS).order_by("-id")[:SHOWN]
    kinds = dict(RevealForm.WHAT)
    context = {
        "leave": SupportLeave.in_force().filter(person=request.user).select_related("helper").first(),
        "form": LeaveForm(),
        "looks": [(e, in_words(e.verb), kinds.get(e.evidence.get("what"), "")) for e in looks],
    }
    return render(request, "panel/looks.html", context)


@login_required
@require_POST
def give(request: PersonRequest) -> HttpResponse:
    """Let one supporter look for a while."""
    form = LeaveForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose for how long."), extra_tags="bad")
        return redirect("looks")
    with transaction.atomic():
        leave = SupportLeave.give(request.user, timedelta(hours=form.cleaned_data["hours"]))
        record(request.user, "support.allowed", leave, until=leave.until.isoformat())
    messages.success(
        request, _("One supporter may look until then. You can take it back."), extra_tags="good"
    )
    return redirect("looks")


@login_required
@require_POST
def take_back(request: PersonRequest) -> HttpResponse:
    """End the leave now."""
    with transaction.atomic():
        if SupportLeave.take_back(request.user):
            record(request.user, "support.withdrawn")
    messages.success(request, _("Taken back. Nobody may look any more."), extra_tags="good")
    return redirect("looks")
