"""The pages of the chat: the list with a place to begin, and one conversation."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alignapp.answers import PersonRequest, refusal, saying_when, status_of, wants_fragment
from alignapp.audit.services import record
from alignapp.chat import candidates, forms, pages, services
from alignapp.chat import export as exports
from alignapp.chat.errors import Refused
from alignapp.chat.models import Conversation, Reply
from alignapp.feedback.models import Feedback
from alignapp.instant.services import refresh_soon
from personalization.errors import AlignError


def _conversation(request: PersonRequest, conversation_id: uuid.UUID) -> Conversation:
    owned = Conversation.objects.for_person(request.user).select_related("person")
    found: Conversation = get_object_or_404(owned, id=conversation_id)
    return found


@login_required
@require_GET
def conversations(request: PersonRequest) -> HttpResponse:
    """Show the person's conversations and a place to begin one."""
    search = request.GET.get("q", "").strip()
    if wants_fragment(request):
        found = pages.conversations_of(request.user, search)
        return render(request, "chat/_list.html", {"conversations": found, "search": search})
    return _list_page(request, forms.ConversationForm(), search=search)


def _list_page(
    request: PersonRequest,
    form: forms.ConversationForm,
    *,
    search: str = "",
    refused: AlignError | None = None,
) -> HttpResponse:
    context = {
        "conversations": pages.conversations_of(request.user, search),
        "search": search,
        "form": form,
        "kind": form["kind"].value(),
        "kinds": pages.KINDS,
        "draft": request.POST.get("text", ""),
        "max_characters": settings.MAX_PROMPT_CHARACTERS,
        "attempts": candidates.BEST_OF,
        "refused": refused,
    }
    response = render(request, "chat/list.html", context, status=status_of(refused) if refused else 200)
    return saying_when(response, refused)


@login_required
@require_POST
def new(request: PersonRequest) -> HttpResponse:
    """Begin a conversation with its first message."""
    form = forms.ConversationForm(request.POST)
    if not form.is_valid():
        return _list_page(request, form, refused=Refused(_("Choose what you want to talk about.")))
    form.instance.person = request.user
    try:
        with transaction.atomic():  # a refused message leaves no empty conversation behind
            conversation = form.save()
            text = request.POST.get("text", "").strip()
            services.start_turn(conversation, text, think_longer="think_longer" in request.POST)
    except AlignError as error:
        return _list_page(request, form, refused=error)
    return redirect("chat:conversation", conversation.id)


@login_required
@require_GET
def conversation(request: PersonRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Show one conversation; `?turn=` names the branch."""
    return conversation_page(request, _conversation(request, conversation_id))


def conversation_page(
    request: PersonRequest, conversation: Conversation, *, refused: AlignError | None = None
) -> HttpResponse:
    """Render a conversation; a refused message stands in the composer again, with the reason."""
    try:
        at = uuid.UUID(request.GET["turn"]) if "turn" in request.GET else None
        thread = pages.thread(conversation, at)
    except (ValueError, KeyError):
        raise Http404 from None
    context: dict[str, Any] = {
        "conversation": conversation,
        "thread": thread,
        "conversations": pages.conversations_of(request.user),
        "draft": request.POST.get("text", "") if refused else "",
        "max_characters": settings.MAX_PROMPT_CHARACTERS,
        "attempts": candidates.BEST_OF,
        "refused": refused,
    }
    status = status_of(refused) if refused else 200
    return saying_when(render(request, "chat/conversation.html", context, status=status), refused)


@login_required
@require_POST
def rename(request: PersonRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Give a conversation another name."""
    conversation = _conversation(request, conversation_id)
    form = forms.TitleForm(request.POST, instance=conversation)
    if not form.is_valid():
        return refusal(request, Refused(_("A name has at most 200 characters.")), "..")
    Conversation.objects.filter(pk=conversation.pk).update(title=form.cleaned_data["title"])
    if wants_fragment(request):
        return render(request, "chat/_title.html", {"conversation": conversation})
    return redirect("chat:conversation", conversation.id)


@login_required
@require_POST
def switches(request: PersonRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Say whether this conversation is personalised, and whether it may be learned from."""
    conversation = _conversation(request, conversation_id)
    form = forms.SwitchesForm(request.POST, instance=conversation)
    if form.is_valid():
        Conversation.objects.filter(pk=conversation.pk).update(**form.cleaned_data)
        refresh_soon(request.user)
    if wants_fragment(request):
        return render(request, "chat/_switches.html", {"conversation": conversation})
    return redirect("chat:conversation", conversation.id)


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: PersonRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """List what goes with a conversation, then delete it."""
    conversation = _conversation(request, conversation_id)
    feedback = Feedback.objects.filter(turn__conversation=conversation)
    counts: dict[str, Any] = {
        "messages": conversation.turns.count(),
        "answers": Reply.objects.filter(turn__conversation=conversation).count(),
        "feedback": feedback.count(),
    }
    if request.method == "GET":
        return render(request, "chat/delete.html", {"conversation": conversation, "counts": counts})
    record(request.user, "conversation.deleted", conversation, **counts)
    services.delete(conversation)
    messages.success(request, _("The conversation was deleted."), extra_tags="good")
    return redirect("chat:list")


@login_required
@require_GET
def export(request: PersonRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Download a conversation as JSON lines."""
    conversation = _conversation(request, conversation_id)
    lines = (json.dumps(line, default=str, ensure_ascii=False) + "\n" for line in exports.lines(conversation))
    response = HttpResponse("".join(lines), content_type="application/x-ndjson")
    response["Content-Disposition"] = f'attachment; filename="conversation-{str(conversation.id)[:8]}.jsonl"'
    return response


@login_required
@require_POST
def candidate_count(request: PersonRequest) -> HttpResponse:
    """Set how many answers a first message gets."""
    form = forms.CountForm(request.POST)
    if not form.is_valid():
        return refusal(request, Refused(_("Choose between 1 and 4 answers.")), "/chat/")
    request.user.candidate_count = form.cleaned_data["candidate_count"]
    request.user.save(update_fields=["candidate_count"])
    if wants_fragment(request):
        return HttpResponse(status=204)
    return redirect("chat:list")
