"""`/v1`: what OpenAI's clients speak. A token in the header instead of a session, so no CSRF token either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from alignapp.api import services
from alignapp.api.completions import Completion
from alignapp.api.errors import ApiError, as_response
from alignapp.api.models import ApiToken, Scope
from alignapp.api.schema import ChatRequest, parsed
from alignapp.api.shapes import names_of
from alignapp.chat.events import briefly
from alignapp.chat.models import Reply, Turn
from alignapp.chat.services import delete, stop_turn
from personalization.errors import AlignError

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]  # (request, token, **what the address names)


def endpoint(
    method: str, scope: Scope
) -> Callable[[View], Callable[..., Coroutine[Any, Any, HttpResponseBase]]]:
    """Let a view be called with this method by whoever shows a token with this scope."""

    def decorate(view: View) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
        @csrf_exempt
        @wraps(view)
        async def answer(request: HttpRequest, **named: Any) -> HttpResponseBase:
            try:
                if request.method != method:
                    raise ApiError(405, f"This address takes {method} only.")
                return await view(request, await briefly(lambda: _token_of(request, scope)), **named)
            except AlignError as error:
                return as_response(error)

        return answer

    return decorate


def _token_of(request: HttpRequest, scope: Scope) -> ApiToken:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    token = ApiToken.find(secret.strip()) if kind.lower() == "bearer" and secret else None
    if token is None:
        words = "Show a valid token as “Authorization: Bearer align_…”. Make one on your account page."
        raise ApiError(401, words, code="invalid_api_key")
    if scope not in token.scopes:
        raise ApiError(
            403, f"This token may not do that; it lacks the scope “{scope}”.", code="missing_scope"
        )
    return token


@endpoint("GET", Scope.MODELS)
async def models(_request: HttpRequest, token: ApiToken) -> HttpResponseBase:
    """List the models that this person can name."""
    names = await briefly(lambda: list(names_of(token.person)))
    found = [
        {"id": name, "object": "model", "created": int(at), "owned_by": token.person.pseudonym}
        for name, at in names
    ]
    return JsonResponse({"object": "list", "data": found})


@endpoint("POST", Scope.CHAT)
async def chat_completions(request: HttpRequest, token: ApiToken) -> HttpResponseBase:
    """Answer a conversation, whole or as a stream. What is not to be stored is deleted when it was read."""
    asked = parsed(request.body)
    turn, replies = await briefly(lambda: _begun(token, asked))
    completion = Completion(turn, replies, asked)
    if not asked.stream:
        async with _until_read(turn, asked):
            return JsonResponse(await completion.whole())
    response = StreamingHttpResponse(_streamed(completion, turn, asked), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache, no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _begun(token: ApiToken, asked: ChatRequest) -> tuple[Turn, list[Reply]]:
    turn = services.begin(token.person, asked)
    return turn, list(turn.replies.order_by("position"))


async def _streamed(completion: Completion, turn: Turn, asked: ChatRequest) -> AsyncGenerator[str]:
    async with _until_read(turn, asked), aclosing(completion.chunks()) as chunks:
        async for chunk in chunks:
            yield chunk
    yield completion.LAST_CHUNK  # whoever has it may go: all that follows from their request is done


@asynccontextmanager
async def _until_read(turn: Turn, asked: ChatRequest) -> AsyncGenerator[None]:
    """When the reader has all or leaves, stop what is still written; keep it only if it is to be stored."""
    try:
        yield
    finally:
        ending = asyncio.ensure_future(
            briefly(lambda: stop_turn(turn) if asked.store else delete(turn.conversation))
        )
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:  # the reader left just now: that must not keep what they said
            await ending
            raise
