"""What of a vLLM server can be reached, and by whom: four paths, with the key; `/health` without.

Everything else that vLLM's application offers stays shut: it would load any folder as an adapter. An ASGI
middleware, and the outermost. A completion's `model` and its `vllm_xargs` name what acts on it, and the stock
has that at hand as long as the answer is written. Knows nothing of tensors.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from personalization.engine.vllm.steering import ARGUMENT
from personalization.engine.vllm.stock import Stock, check_name
from personalization.errors import AlignError

log = logging.getLogger(__name__)

COMPLETIONS, FORGET = "/v1/completions", "/v1/forget"
_OPEN = {("POST", COMPLETIONS), ("POST", FORGET), ("GET", "/v1/models"), ("GET", "/metrics")}

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the door needs to know: the stock, the key, and the base model's name."""

    stock: Stock
    key: str
    base_name: str


class Door:
    """The middleware. vLLM makes it from its name alone, so `serve` puts the settings here before."""

    settings: ClassVar[Settings]

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan" or scope.get("path") == "/health":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = (scope["method"], scope["path"])
        if not self._has_key(scope):
            await _refuse(send, 401, "This server needs its key: Authorization: Bearer …")
        elif wanted not in _OPEN:
            await _refuse(send, 404, f"Not here: {scope['method']} {scope['path']}.")
        elif scope["method"] == "GET":
            await self._app(scope, receive, send)
        else:
            body = await _body(receive)
            try:
                if scope["path"] == FORGET:
                    await self._forget(body, scope, send)
                else:
                    await self._complete(body, scope, receive, send)
            except _Refused as refused:
                log.warning("refused: %s", refused)
                await _refuse(send, 400, str(refused))

    def _has_key(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, f"Bearer {self.settings.key}".encode())

    async def _complete(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _parsed(body)
        model, extra = asked.get("model"), asked.get("vllm_xargs")
        stock, state = self.settings.stock, scope["app"].state
        begun = False
        try:
            adapter = check_name("" if model == self.settings.base_name else model or "")
            vectors = check_name(extra.get(ARGUMENT, "") if isinstance(extra, dict) else "")
            async with stock.holding(adapter, vectors, state):
                begun = True
                await self._app(scope, _again(body, receive), send)
        except AlignError as error:
            if begun:
                raise
            raise _Refused(str(error)) from error

    async def _forget(self, body: bytes, scope: Scope, send: Send) -> None:
        digests = _parsed(body).get("digests")
        if not isinstance(digests, list) or not all(isinstance(digest, str) for digest in digests):
            raise _Refused('{"digests": […]} was expected.')
        await self.settings.stock.forget(digests, scope["app"].state)
        await _answer(send, 200, {"forgotten": len(digests)})


class _Refused(Exception):
    """What is asked for cannot be had, and why."""


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise _Refused(f"The body is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise _Refused("The body is no JSON object.")
    return parsed


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once more, then what comes after it."""
    given = False

    async def again() -> dict[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send, status: int, message: str) -> None:
    await _answer(send, status, {"error": {"message": message, "code": status}})


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
