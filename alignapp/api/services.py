"""A request as rows: conversation, turn and replies as in the chat, so that the same workers answer it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from alignapp.api.errors import ApiError
from alignapp.api.shapes import shape_of
from alignapp.chat.candidates import Candidate
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.chat.services import limit, queue, title_of
from personalization.engine.requests import Sampling

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from alignapp.api.schema import ChatRequest

# An exchange that is not to be stored is deleted as soon as it was read; at the latest then, by the sweeper.
KEPT_AT_MOST = timedelta(hours=1)


def begin(person: Person, request: ChatRequest) -> Turn:
    """Queue the answers to a request; the turn has `request.n` replies.

    Raises ApiError (unknown model, too long) and TooMany; then nothing was queued.
    """
    *earlier, last = request.messages
    written = sum(len(message.text) for message in request.messages)
    if written > settings.MAX_PROMPT_CHARACTERS:
        words = f"The messages have {written:,} characters; {settings.MAX_PROMPT_CHARACTERS:,} are possible."
        raise ApiError(400, words, code="context_length_exceeded", param="messages")
    most_tokens = request.limit
    maker, shape = shape_of(person, request.model, request.strength)
    limit(person.pk, request.n)
    spoken = [m for m in earlier if m.role in ("user", "assistant")]
    instructions = [m.text for m in earlier if m.role in ("system", "developer")]
    system_message = "\n\n".join(text for text in (shape.system_message, *instructions) if text.strip())
    shape = replace(shape, system_message=system_message)
    seed = secrets.randbelow(2**31) if request.seed is None else request.seed
    with transaction.atomic():
        conversation = Conversation.objects.create(
            person=person,
            kind=Conversation.Kind.API,
            title=title_of(last.text),
            for_training=request.store,
            personalised=maker != Reply.Maker.BASE,
            expires_at=None if request.store else timezone.now() + KEPT_AT_MOST,
        )
        turn: Turn = Turn.objects.create(
            conversation=conversation,
            text=last.text,
            earlier=[{"role": m.role, "content": m.text} for m in spoken],
            blind=False,
        )
        for position in range(request.n):
            sampling = Sampling(
                temperature=request.temperature,
                top_p=request.top_p,
                max_new_tokens=most_tokens,
                seed=(seed + position) % 2**31,
                stop=request.stops,
                presence_penalty=request.presence_penalty,
                frequency_penalty=request.frequency_penalty,
            )
            queue(turn, position, Candidate(maker, shape, sampling))
    return turn
