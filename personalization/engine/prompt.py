"""A request's prompt, and how long its answer may be."""

from __future__ import annotations

from personalization.engine.requests import GenerationRequest
from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat


def prompt_of(base: BaseModel, request: GenerationRequest, *, context: int) -> tuple[list[int], int]:
    """Return the prompt's ids, and how many tokens may follow in a context of so many.

    Raises ModelError when the prompt leaves no room.
    """
    prompt = encode_chat(base, request.messages)
    room = context - len(prompt)
    if room < 1:
        raise ModelError(
            f"The conversation is too long for {base.name}: {len(prompt)} tokens, and it can read "
            f"{context - 1}. Start a new conversation or shorten the message."
        )
    return prompt, min(request.sampling.max_new_tokens, room)
