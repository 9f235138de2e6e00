"""What can be done with a turn and its replies. Each view finds the row, calls one verb and answers.

HTMX gets the changed part of the page; a browser without scripts goes back to the whole page.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from alignapp.answers import PersonRequest, refusal, wants_fragment, wants_json
from alignapp.chat import pages, services
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.chat.views import conversation_page
from personalization.errors import AlignError


def place_of(turn: Turn) -> str:
    """Return the address at which this turn is seen."""
    page = reverse("chat:conversation", args=[turn.conversation_id])
    return f"{page}?turn={turn.id}#turn-{turn.id}"


def show_turn(request: PersonRequest, turn: Turn) -> HttpResponse:
    """Answer with one turn as it now is."""
    turn.refresh_from_db()
    if wants_json(request):
        return JsonResponse({"turn": str(turn.id), "revealed": not turn.is_blind})
    if wants_fragment(request):
        return render(request, "chat/_turn.html", {"view": pages.turn_view(turn)})
    return redirect(place_of(turn))


def _show_thread(request: PersonRequest, turn: Turn) -> HttpResponse:
    """Answer with the branch that ends in this turn: it is new."""
    if wants_json(request):
        replies = [str(pk) for pk in turn.replies.values_list("id", flat=True)]
        return JsonResponse({"turn": str(turn.id), "replies": replies}, status=201)
    if wants_fragment(request):
        context = {"thread": pages.thread(turn.conversation, turn.id), "conversation": turn.conversation}
        response = render(request, "chat/_thread.html", context)
        response["HX-Push-Url"] = place_of(turn).split("#")[0]
        return response
    return redirect(place_of(turn))


def _turn(request: PersonRequest, turn_id: uuid.UUID) -> Turn:
    owned = Turn.objects.for_person(request.user).select_related("conversation__person", "chosen", "parent")
    found: Turn = get_object_or_404(owned, id=turn_id)
    return found


def _as_uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404 from None


def _reply(request: PersonRequest, reply_id: uuid.UUID) -> Reply:
    owned = Reply.objects.for_person(request.user).select_related("turn__conversation__person")
    found: Reply = get_object_or_404(owned, id=reply_id)
    return found


@login_required
@require_POST
def send(request: PersonRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Send a message: after the turn named by `after`, or at the end of the branch written to last."""
    conversation = get_object_or_404(
        Conversation.objects.for_person(request.user).select_related("person"), id=conversation_id
    )
    above = conversation.turns.order_by("-created_at").first()
    if after := request.POST.get("after"):
        above = _turn(request, _as_uuid(after))
    try:
        if above is not None and above.conversation_id != conversation.id:
            raise Http404
        parent = services.go_on_from(above) if above else None
        text, longer = request.POST.get("text", ""), "think_longer" in request.POST
        turn = services.start_turn(conversation, text, parent, think_longer=longer)
    except AlignError as error:
        if wants_fragment(request) or wants_json(request):
            return refusal(request, error, "")
        return conversation_page(request, conversation, refused=error)
    return _show_thread(request, turn)


@login_required
@require_GET
def turn(request: PersonRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Show one turn as it now is."""
    return show_turn(request, _turn(request, turn_id))


@login_required
@require_POST
def stop(request: PersonRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Stop what is being written in this turn."""
    turn = _turn(request, turn_id)
    services.stop_turn(turn)
    return show_turn(request, turn)


@login_required
@require_POST
def regenerate(request: PersonRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Ask the same again, as a new branch; on demand it is thought about longer."""
    turn = _turn(request, turn_id)
    try:
        return _show_thread(request, services.regenerate(turn, think_longer="think_longer" in request.POST))
    except AlignError as error:
        return refusal(request, error, place_of(turn))


@login_required
@require_POST
def edit(request: PersonRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Ask something else at this place, as a new branch."""
    turn = _turn(request, turn_id)
    try:
        return _show_thread(request, services.edit(turn, request.POST.get("text", "")))
    except AlignError as error:
        return refusal(request, error, place_of(turn))


@login_required
@require_POST
def reveal(request: PersonRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Show who made the candidates before they are rated; later acts are flagged as not blind."""
    turn = _turn(request, turn_id)
    turn.reveal()
    return show_turn(request, turn)


@login_required
@require_POST
def choose(request: PersonRequest, reply_id: uuid.UUID) -> HttpResponse:
    """Go on with this reply without saying that it is good."""
    reply = _reply(request, reply_id)
    try:
        services.go_on_with(reply)
    except AlignError as error:
        return refusal(request, error, place_of(reply.turn))
    return show_turn(request, reply.turn)


@login_required
@require_POST
def compare(request: PersonRequest, reply_id: uuid.UUID) -> HttpResponse:
    """Show what the base model would have said beside this reply."""
    reply = _reply(request, reply_id)
    try:
        services.compare_with_base(reply)
    except AlignError as error:
        return refusal(request, error, place_of(reply.turn))
    return show_turn(request, reply.turn)


@login_required
@require_POST
def retry(request: PersonRequest, reply_id: uuid.UUID) -> HttpResponse:
    """Try a failed or stalled reply once more."""
    reply = _reply(request, reply_id)
    try:
        services.retry(reply)
    except AlignError as error:
        return refusal(request, error, place_of(reply.turn))
    return show_turn(request, reply.turn)
