"""People by pseudonym. Their words are shown for a reason only, and they are told of it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from alignapp.audit.services import record
from alignapp.panel import people
from alignapp.panel.forms import RevealForm
from alignapp.panel.models import SupportLeave
from alignapp.panel.pages.frame import shown
from alignapp.panel.pages.people import cases_of, people_page, person_page
from alignapp.panel.roles import EVERYBODY, READERS, PanelRequest, Role, needs
from personalization.errors import AlignError


@require_GET
@needs(*EVERYBODY)
def overview(request: PanelRequest) -> HttpResponse:
    """List people; a supporter sees those who gave leave."""
    if request.roles & set(READERS):
        return shown(request, "panel/people.html", "people", people_page(request.GET))
    return shown(request, "panel/cases.html", "people", {"cases": cases_of(request.user)})


@require_GET
@needs(*EVERYBODY)
def page(request: PanelRequest, person_id: uuid.UUID) -> HttpResponse:
    """Show one person's numbers."""
    person = people.visible_person(request, person_id)
    context = person_page(person, advice="advice" in request.GET)
    context["may_reveal"] = people.may_reveal(request, person)
    return shown(request, "panel/person.html", "people", context)


@require_POST
@needs(Role.OPERATOR, Role.SUPPORT, fresh=True)
def reveal(request: PanelRequest, person_id: uuid.UUID) -> HttpResponse:
    """Show a person's words once, for a reason that they read."""
    person = people.visible_person(request, person_id)
    if not people.may_reveal(request, person):
        return redirect("panel:person", person.pk)
    form = RevealForm(request.POST)
    if not form.is_valid():
        context = person_page(person) | {"may_reveal": True, "form": form}
        return shown(request, "panel/person.html", "people", context, status=400)
    what = form.cleaned_data["what"]
    lines = people.reveal(person, what, form.cleaned_data["reason"], by=request.user)
    context = {"person": person, "what": dict(RevealForm.WHAT)[what], "lines": lines}
    return shown(request, "panel/revealed.html", "people", context)


@require_POST
@needs(Role.SUPPORT)
def take_up(request: PanelRequest, person_id: uuid.UUID) -> HttpResponse:
    """Begin to help a person who gave leave; one at a time."""
    leave = get_object_or_404(SupportLeave.in_force().select_related("person"), person=person_id)
    try:
        with transaction.atomic():
            leave.take_up(request.user)
            record(request.user, people.TAKEN_UP, leave, until=leave.until.isoformat())
    except AlignError as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect("panel:people")
    return redirect("panel:person", leave.person_id)


@require_POST
@needs(Role.SUPPORT)
def close(request: PanelRequest, person_id: uuid.UUID) -> HttpResponse:
    """End the help; the person would have to give leave again."""
    leave = get_object_or_404(SupportLeave.in_force(), person=person_id, helper=request.user)
    with transaction.atomic():
        SupportLeave.objects.filter(pk=leave.pk).update(ended_at=timezone.now())
        record(request.user, people.CLOSED, leave)
    messages.success(request, _("The case is closed."), extra_tags="good")
    return redirect("panel:people")
