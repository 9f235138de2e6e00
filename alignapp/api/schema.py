"""What may be asked for: OpenAI's chat completion request, with a few fields of our own.

Fields that would change the answer and are not supported are refused, not ignored; a client that sends its
defaults for them (`tools=None`, `logprobs=False`) is let through. `logit_bias` is one of them: answers under
chosen biases give away the log-probabilities of the model (arXiv:2403.06634).
"""

from __future__ import annotations

from typing import Any, Literal

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from alignapp.adapters.models.artifact import MOST_STRENGTH
from alignapp.api.errors import ApiError

MOST_MESSAGES, MOST_STOPS, MOST_CANDIDATES = 200, 4, 4
# What a client may send as long as it asks for nothing.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "audio": (None,),
    "function_call": (None, "none"),
    "functions": (None, []),
    "logit_bias": (None, {}),
    "logprobs": (None, False),
    "modalities": (None, ["text"]),
    "parallel_tool_calls": (None, True, False),
    "response_format": (None, {"type": "text"}),
    "tool_choice": (None, "none", "auto"),
    "tools": (None, []),
    "top_logprobs": (None, 0),
}
# Says nothing about the answer.
IGNORED = frozenset({"metadata", "user", "service_tier", "safety_identifier", "prompt_cache_key"})


class Part(BaseModel):
    """A piece of a message; only text can be read."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message of the conversation so far."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def text(self) -> str:
        """The words, without what no database holds."""
        whole = self.content if isinstance(self.content, str) else "".join(p.text for p in self.content)
        return whole.replace("\0", "")


class StreamOptions(BaseModel):
    """What a stream brings besides text."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """One request. `store` keeps the exchange in the chat.

    `strength` scales what was learned; each part acts as far as the safety gate lets it.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: list[ChatMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    n: int = Field(default=1, ge=1, le=MOST_CANDIDATES)
    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)
    presence_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    frequency_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    store: bool = False
    strength: float = Field(default=1.0, ge=0.0, le=MOST_STRENGTH)

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_supported(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for name, harmless in UNSUPPORTED.items():
            if given.get(name) not in harmless:
                raise ApiError(
                    400, f"{name} is not supported here.", param=name, code="unsupported_parameter"
                )
        # A client that leaves a field out and one that sends null mean the same.
        return {k: v for k, v in given.items() if k not in UNSUPPORTED and k not in IGNORED and v is not None}

    @field_validator("messages")
    @classmethod
    def _ends_with_the_user(cls, messages: list[ChatMessage]) -> list[ChatMessage]:
        turns = [message.role for message in messages if message.role in ("user", "assistant")]
        expected = ["user", "assistant"] * (len(turns) // 2) + ["user"]
        if turns != expected:
            raise ValueError("user and assistant take turns, and the last message is the user's")
        if not messages[-1].text.strip():
            raise ValueError("the last message is empty")
        return messages

    @field_validator("stop")
    @classmethod
    def _few_stops(cls, stop: str | list[str] | None) -> str | list[str] | None:
        if isinstance(stop, list) and len(stop) > MOST_STOPS:
            raise ValueError(f"at most {MOST_STOPS} stop strings")
        return stop

    @property
    def stops(self) -> list[str]:
        """The stop strings, none of them empty."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in given if stop]

    @property
    def limit(self) -> int:
        """How many tokens an answer may have. Raises ApiError for more than the operator allows."""
        wanted = self.max_completion_tokens or self.max_tokens or settings.MAX_NEW_TOKENS
        if wanted > settings.MAX_NEW_TOKENS:
            words = f"An answer has at most {settings.MAX_NEW_TOKENS} tokens here; {wanted} were asked for."
            raise ApiError(400, words, param="max_tokens")
        return wanted


def parsed(body: bytes) -> ChatRequest:
    """Read a request. Raises ApiError that names the field."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        message = first["msg"].removeprefix("Value error, ")
        raise ApiError(400, f"{where}: {message}" if where else message, param=where) from None
