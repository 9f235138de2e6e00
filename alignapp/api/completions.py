"""Answers in the shape of OpenAI's chat completions, whole or in chunks. No log-probabilities."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from alignapp.api.errors import ApiError
from alignapp.api.relay import pieces
from alignapp.api.schema import ChatRequest
from alignapp.chat.models import Reply, Turn

# Ours on the left; a stopped answer is one that its owner stopped elsewhere.
FINISH = {"eos": "stop", "stop": "stop", "cancelled": "stop", "length": "length", "deadline": "length"}


class Completion:
    """One request and its replies, on their way to whoever asked."""

    LAST_CHUNK = "data: [DONE]\n\n"

    def __init__(self, turn: Turn, replies: Sequence[Reply], request: ChatRequest) -> None:
        self._turn, self._replies, self._request = turn, replies, request

    async def whole(self) -> dict[str, Any]:
        """Wait for every reply and return the completion. Raises ApiError."""
        rows = [piece.ended async for piece in pieces(self._replies) if piece.ended]
        rows.sort(key=lambda row: row.position)
        choices = [
            {
                "index": row.position,
                "message": {"role": "assistant", "content": row.text, "refusal": None},
                "finish_reason": FINISH.get(row.finish_reason, "stop"),
                "logprobs": None,
            }
            for row in rows
        ]
        return {**self._head("chat.completion", rows), "choices": choices, "usage": _usage(rows)}

    async def chunks(self) -> AsyncGenerator[str]:
        """Yield server-sent events, without LAST_CHUNK; an error in the middle is one of them."""
        rows: list[Reply] = []
        try:
            for reply in self._replies:
                yield self._chunk(reply.position, {"role": "assistant", "content": ""})
            async with aclosing(pieces(self._replies)) as found:
                async for piece in found:
                    if piece.ended is None:
                        yield self._chunk(piece.position, {"content": piece.text})
                    else:
                        rows.append(piece.ended)
                        reason = FINISH.get(piece.ended.finish_reason, "stop")
                        yield self._chunk(piece.position, {}, finish_reason=reason)
            options = self._request.stream_options
            if options and options.include_usage:
                yield self._event(choices=[], usage=_usage(rows))
        except ApiError as error:
            yield f"data: {json.dumps(error.body)}\n\n"

    def _chunk(self, index: int, delta: dict[str, Any], *, finish_reason: str | None = None) -> str:
        return self._event(choices=[{"index": index, "delta": delta, "finish_reason": finish_reason}])

    def _event(self, **fields: Any) -> str:
        return f"data: {json.dumps({**self._head('chat.completion.chunk', ()), **fields})}\n\n"

    def _head(self, kind: str, rows: Sequence[Reply]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._turn.id.hex}",
            "object": kind,
            "created": int(self._turn.created_at.timestamp()),
            "model": self._request.model,
            "system_fingerprint": rows[0].model_revision if rows else None,
        }


def _usage(rows: Sequence[Reply]) -> dict[str, int]:
    """Count the prompt once, as OpenAI does, however many answers were asked for."""
    read = max((row.prompt_token_count for row in rows), default=0)
    written = sum(row.token_count for row in rows)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
