"""Take fields out of a row, or say what is wrong with which; and the columns that every format may carry.

`id`, `person`, `licence`, `may_train`, `language` and `source` are read wherever they are and written with
every row, beside the columns that the format itself has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from personalization.exchange.neutral import (
    HIGHEST,
    LOWEST,
    Answer,
    Example,
    FormatError,
    Judgement,
    Participant,
    digest,
)
from personalization.records import Message, Role

Data = Mapping[str, Any]
# What others call the roles.
ROLES: Mapping[str, Role] = {
    "system": "system", "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "model": "assistant", "gpt": "assistant",
}  # fmt: skip
NO = frozenset({"false", "0", "no"})


def text(row: Data, name: str, default: str | None = None) -> str:
    """Return a field's text. Raises FormatError when it is missing without a default, or is no text."""
    value = row.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise FormatError(f"“{name}” is missing." if value is None else f"“{name}” has to be a text.")
    return value


def whole(row: Data, name: str) -> int:
    """Return a field's whole number, also when it is written as text. Raises FormatError."""
    value = row.get(name)
    try:
        if isinstance(value, bool) or float(str(value)) != int(float(str(value))):
            raise ValueError
        return int(float(str(value)))
    except (ValueError, OverflowError):
        raise FormatError(f"“{name}” is {str(value)[:20]!r}; a whole number is needed.") from None


def truth(row: Data, name: str, *, default: bool | None = None) -> bool:
    """Return a field's truth, also when it is written as text or 0 and 1. Raises FormatError."""
    value = row.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool):
        return value
    if str(value).casefold() in NO:
        return False
    if str(value).casefold() in ("true", "1", "yes"):
        return True
    raise FormatError(f"“{name}” is {str(value)[:20]!r}; true or false is needed.")


def listed(row: Data, name: str) -> list[Any]:
    """Return a field's list. Raises FormatError."""
    value = row.get(name)
    if not isinstance(value, list):
        raise FormatError(f"“{name}” has to be a list.")
    return value


def chat(value: Any, name: str) -> tuple[Message, ...]:
    """Return a list of {role, content} as messages. Raises FormatError."""
    if not isinstance(value, list) or not value:
        raise FormatError(f"“{name}” has to be a list of messages, each with role and content.")
    found = []
    for part in value:
        role = ROLES.get(str(part.get("role"))) if isinstance(part, dict) else None
        if role is None or not isinstance(part.get("content"), str):
            raise FormatError(f"A message in “{name}” needs a role (system, user, assistant) and content.")
        found.append(Message(role, part["content"]))
    return tuple(found)


def prompt(row: Data, name: str = "prompt") -> tuple[Message, ...]:
    """Return a prompt that is a text or a list of messages."""
    return (Message("user", row[name]),) if isinstance(row.get(name), str) else chat(row.get(name), name)


def completion(value: Any, name: str) -> str:
    """Return an answer that is a text or a list of one assistant message. Raises FormatError."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise FormatError(f"“{name}” has to be a text or a list of messages.")
    messages = chat(value, name)
    if len(messages) != 1 or messages[0].role != "assistant":
        raise FormatError(f"“{name}” has to be a text or one message of the assistant.")
    return messages[0].content


def as_chat(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return messages as {role, content}."""
    return [{"role": message.role, "content": message.content} for message in messages]


def example(row: Data, messages: Sequence[Message], answers: Sequence[Answer], **fields: Any) -> Example:
    """Make an example with the columns that every format may carry; without `id` its content is its key."""
    given = row.get("id")
    key = str(given) if isinstance(given, str | int) and given != "" else digest(messages, answers)
    common: dict[str, Any] = {
        "key": key, "messages": tuple(messages), "answers": tuple(answers),
        "language": text(row, "language", ""), "source": text(row, "source", ""),
        "licence": text(row, "licence", ""), "may_train": truth(row, "may_train", default=True),
    }  # fmt: skip
    return Example(**(common | fields))


def person(row: Data) -> str:
    """Return who judged; empty when the row does not say."""
    value = row.get("person")
    return str(value) if isinstance(value, str | int) else ""


def columns(
    record: Example | Participant, judgement: Judgement | None = None, part: str = ""
) -> dict[str, Any]:
    """Return the columns that are written with every row; `part` tells rows of one example apart."""
    agreed = record.may_train and (judgement is None or judgement.may_train)
    found: dict[str, Any] = {"licence": record.licence, "may_train": agreed}
    if isinstance(record, Example):
        who = judgement.person if judgement else ""
        found = {"id": "/".join(filter(None, (record.key, who, part))), "person": who} | found
        found |= {"language": record.language, "source": record.source}
    return found


def rescale(value: float, low: float, high: float) -> float:
    """Bring a rating from [low, high] to [1, 100]. Raises FormatError outside."""
    if not low <= value <= high:
        raise FormatError(f"A rating is {value}; ratings of this format go from {low:g} to {high:g}.")
    return LOWEST + (value - low) * (HIGHEST - LOWEST) / (high - low)


def scale_back(score: float, low: float, high: float) -> float:
    """Bring a rating from [1, 100] to [low, high], two digits after the point."""
    return round(low + (score - LOWEST) * (high - low) / (HIGHEST - LOWEST), 2)
