"""Where feedback is given, and the page on which a person sees and removes what they gave."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from alignapp.answers import PersonRequest, refusal, wants_fragment, wants_json
from alignapp.audit.services import record
from alignapp.chat import pages
from alignapp.chat.errors import Refused
from alignapp.chat.models import Reply, Turn
from alignapp.chat.turns import place_of
from alignapp.feedback.forms import FeedbackForm
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.instant.services import refresh_soon
from personalization.errors import AlignError

PER_PAGE = 40


@login_required
@require_POST
def give(request: PersonRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Record one act on a turn and answer with the turn as it now is."""
    owned = Turn.objects.for_person(request.user).select_related("conversation__person", "parent", "chosen")
    turn = get_object_or_404(owned, id=turn_id)
    form = FeedbackForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused(form.first_error())
        values = form.cleaned_data
        reply_id = values.pop("reply")
        reply = get_object_or_404(Reply.objects.for_person(request.user), id=reply_id) if reply_id else None
        feedback = record_feedback(request.user, turn, values.pop("kind"), reply=reply, **values)
    except AlignError as error:
        return refusal(request, error, place_of(turn))
    if wants_json(request):
        return JsonResponse({"feedback": str(feedback.id), "revealed": not turn.is_blind}, status=201)
    if wants_fragment(request):
        return render(request, "chat/_turn.html", {"view": pages.turn_view(turn)})
    return redirect(place_of(turn))


@login_required
@require_GET
def overview(request: PersonRequest) -> HttpResponse:
    """List what the person showed, newest first; `?kind=` keeps one kind."""
    mine = Feedback.objects.for_person(request.user)
    counts = dict(mine.order_by().values_list("kind").annotate(Count("id")))
    chosen = request.GET.get("kind", "")
    rows = mine.filter(kind=chosen) if chosen in Feedback.Kind.values else mine
    rows = rows.select_related("turn__conversation", "reply").order_by("-created_at", "-id")
    context = {
        "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "filters": [(kind.value, kind.label, counts.get(kind.value, 0)) for kind in Feedback.Kind],
        "chosen": chosen,
        "total": sum(counts.values()),
    }
    return render(request, "feedback/list.html", context)


@login_required
@require_POST
def erase(request: PersonRequest, feedback_id: uuid.UUID) -> HttpResponse:
    """Remove one act for good. What was trained on it before stays until the next training."""
    feedback = get_object_or_404(Feedback.objects.for_person(request.user), id=feedback_id)
    record(request.user, "feedback.erased", feedback, kind=feedback.kind)
    feedback.delete()
    refresh_soon(request.user)
    if wants_fragment(request):
        return HttpResponse("")
    messages.success(request, _("Removed. It will not be learned from again."), extra_tags="good")
    return redirect("feedback:list")
