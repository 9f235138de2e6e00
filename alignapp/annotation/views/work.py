"""The annotating page and what can be done on it. A form without scripts does all of it, too."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.annotation import pages
from alignapp.annotation.errors import Incomplete, TimeIsUp
from alignapp.annotation.models import Assignment
from alignapp.annotation.rights import assigned, joined
from alignapp.annotation.services import answers, queue
from alignapp.annotation.services.projects import member_of
from alignapp.answers import PersonRequest, refusal, status_of, wants_fragment, wants_json
from alignapp.numbers import whole
from personalization.errors import AlignError


@login_required
@require_POST
def claim(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Take the next item; `besides` names one that the page has already."""
    member = joined(request, project_id)
    home = reverse("annotation:project", args=[project_id])
    try:
        besides = uuid.UUID(request.POST["besides"]) if "besides" in request.POST else None
    except ValueError:
        besides = None
    try:
        found = queue.claim_next(member, besides=besides)
    except AlignError as error:
        consent = reverse("annotation:consent", args=[project_id])
        return refusal(request, error, home if member.has_consented else consent)
    url = reverse("annotation:work", args=[found.id]) if found else None
    if wants_json(request):
        return JsonResponse({"next": url})
    if url is None:
        messages.info(request, _("Nothing is left for you now. Thank you; come back later."))
    return redirect(url or home)


@login_required
@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def work(request: PersonRequest, assignment_id: uuid.UUID) -> HttpResponse:
    """Show one item to its annotator, or submit what they say."""
    assignment = assigned(request, assignment_id)
    if request.method == "POST":
        return _submit(request, assignment)
    if assignment.is_open:
        queue.renew(assignment)
    return _page(request, assignment, assignment.draft, {})


def _page(
    request: PersonRequest, assignment: Assignment, values: answers.Values, errors: dict[str, str]
) -> HttpResponse:
    member = member_of(request.user, assignment.item.project_id)
    assert member is not None  # `assigned` looked
    context = pages.work_context(assignment, member, values, errors)
    template = "annotation/_work.html" if wants_fragment(request) else "annotation/work.html"
    return render(request, template, context, status=400 if errors else 200)


def _submit(request: PersonRequest, assignment: Assignment) -> HttpResponse:
    values = dict(request.POST.lists())
    try:
        submission = answers.submit(assignment, values, active_ms=_milliseconds(request))
    except Incomplete as error:
        if wants_json(request):
            return JsonResponse({"error": str(error), "errors": error.errors}, status=400)
        return _page(request, assignment, values, error.errors)
    except TimeIsUp as error:
        if wants_json(request):
            body = {
                "error": str(error),
                "over": True,
                "aside": assignment.state == Assignment.State.DISCARDED,
            }
            return JsonResponse(body, status=status_of(error))
        messages.warning(request, str(error), extra_tags="warn")
        return claim(request, assignment.item.project_id)
    except AlignError as error:
        if wants_json(request):
            return refusal(request, error, request.path)
        return _page(request, assignment, values, {"": str(error)})
    if wants_json(request):
        body = {"submission": str(submission.id), "number": submission.number}
        return JsonResponse(body, status=201)
    return claim(request, assignment.item.project_id)


@login_required
@require_POST
def draft(request: PersonRequest, assignment_id: uuid.UUID) -> HttpResponse:
    """Keep what the form holds."""
    assignment = assigned(request, assignment_id)
    number = whole(request.POST.get("draft_number", ""))
    try:
        kept = answers.save_draft(
            assignment,
            dict(request.POST.lists()),
            number=assignment.draft_number if number is None else number,
            active_ms=_milliseconds(request),
        )
    except AlignError as error:
        if wants_json(request):
            return JsonResponse({"error": str(error)}, status=status_of(error))
        return refusal(request, error, reverse("annotation:work", args=[assignment.id]))
    if wants_json(request):
        return JsonResponse({"draft_number": kept})
    messages.success(request, _("The draft is saved."), extra_tags="good")
    return redirect("annotation:work", assignment.id)


@login_required
@require_POST
def skip(request: PersonRequest, assignment_id: uuid.UUID) -> HttpResponse:
    """Put the item aside, with a reason, and go on."""
    return _leave(request, assigned(request, assignment_id), flagged=False)


@login_required
@require_POST
def flag(request: PersonRequest, assignment_id: uuid.UUID) -> HttpResponse:
    """Say what is wrong with the item, and go on."""
    return _leave(request, assigned(request, assignment_id), flagged=True)


def _leave(request: PersonRequest, assignment: Assignment, *, flagged: bool) -> HttpResponse:
    note = request.POST.get("note", "").strip()[:1_000]
    try:
        (queue.flag if flagged else queue.skip)(assignment, note)
    except AlignError as error:
        return refusal(request, error, reverse("annotation:work", args=[assignment.id]))
    return claim(request, assignment.item.project_id)


@login_required
@require_POST
def reopen(request: PersonRequest, assignment_id: uuid.UUID) -> HttpResponse:
    """Take a discarded item up again."""
    assignment = assigned(request, assignment_id)
    try:
        queue.reopen(assignment)
    except AlignError as error:
        return refusal(request, error, reverse("annotation:project", args=[assignment.item.project_id]))
    return redirect("annotation:work", assignment.id)


def _milliseconds(request: PersonRequest) -> int | None:
    return whole(request.POST.get("active_ms", ""))
