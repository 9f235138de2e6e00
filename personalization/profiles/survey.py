"""Checks the answers to the survey and turns them into what is stored; names what is wrong with which.

Knows nothing of pages or rows. Nothing is required. An untouched slider is None and not 50.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalization.cleaning import clean
from personalization.profiles.questions import NOT_SAID, SECTIONS, Question

Raw = Mapping[str, Sequence[str]]  # as a form sends it: every field with its values
WORDS = (  # what a slider's place means, for those who cannot see it
    "not important at all",
    "hardly important",
    "somewhat important",
    "important",
    "very important",
    "extremely important",
)


@dataclass(frozen=True, slots=True)
class Checked:
    """The answers as they are stored, and for each field with a mistake a sentence."""

    content: dict[str, Any]
    errors: dict[str, str]


def slider_words(value: int | None) -> str:
    """Say a slider's place, 0 to 100, in words."""
    return "no opinion yet" if value is None else WORDS[min(len(WORDS) - 1, value * len(WORDS) // 101)]


def check(raw: Raw) -> Checked:
    """Read a form and name what is wrong with which field.

    Fields: the question's name; `NAME.set` for a slider that was moved; `NAME.other` for the text of
    "other"; `NAME.declined` for a text that the person prefers not to say. Unknown fields are ignored.
    """
    content: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for question in questions():
        _READERS[question.kind](question, raw, content, errors)
    return Checked(_without_empty(content), errors)


def questions() -> tuple[Question, ...]:
    """Return every question in the order in which it is asked."""
    return tuple(question for section in SECTIONS for question in section.questions)


def raw_of(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the form that would be read as this content: the inverse of `check`."""
    raw: dict[str, list[str]] = {}
    for question in questions():
        value = _get(content, question.name)
        if question.asks_other and (text := _get(content, _other(question.name))):
            raw[f"{question.name}.other"] = [text]
        if value is None:
            continue
        if question.kind == "slider":
            raw |= {question.name: [str(value)], f"{question.name}.set": ["on"]}
        elif question.kind == "private_text" and value == NOT_SAID:
            raw[f"{question.name}.declined"] = ["on"]
        else:
            raw[question.name] = list(value) if question.kind == "many" else [value]
    return raw


def _slider(question: Question, raw: Raw, content: dict[str, Any], errors: dict[str, str]) -> None:
    if not _first(raw, f"{question.name}.set"):
        return
    value = _first(raw, question.name)
    if not (value.isascii() and value.isdigit()) or len(value) > 3 or int(value) > 100:
        errors[question.name] = "Move the slider to a place between its two ends."
        return
    _put(content, question.name, int(value))
    if question.asks_other:
        _text_of_other(question, raw, content, errors)


def _long_text(question: Question, raw: Raw, content: dict[str, Any], errors: dict[str, str]) -> None:
    _put(content, question.name, _text(question, question.name, raw, errors, lines=True))


def _private_text(question: Question, raw: Raw, content: dict[str, Any], errors: dict[str, str]) -> None:
    if _first(raw, f"{question.name}.declined"):
        _put(content, question.name, NOT_SAID)
    else:
        _put(content, question.name, _text(question, question.name, raw, errors))


def _choice(question: Question, raw: Raw, content: dict[str, Any], errors: dict[str, str]) -> None:
    value = _first(raw, question.name)
    if value and value not in {option.key for option in question.options}:
        errors[question.name] = "Choose one of the answers."
    else:
        _put(content, question.name, value)


def _many(question: Question, raw: Raw, content: dict[str, Any], errors: dict[str, str]) -> None:
    given = set(raw.get(question.name, ())) - {""}
    known = [option.key for option in question.options]
    if not given <= set(known):
        errors[question.name] = "Choose from the answers."
        return
    _put(content, question.name, [key for key in known if key in given])
    if "other" in given:
        _text_of_other(question, raw, content, errors)


_READERS = {
    "slider": _slider,
    "long_text": _long_text,
    "private_text": _private_text,
    "choice": _choice,
    "many": _many,
}


def _text_of_other(question: Question, raw: Raw, content: dict[str, Any], errors: dict[str, str]) -> None:
    field = f"{question.name}.other"
    text = _text(question, field, raw, errors)
    if not text and field not in errors:
        errors[field] = "Say in a few words what this other thing is."
    _put(content, _other(question.name), text)


def _text(question: Question, field: str, raw: Raw, errors: dict[str, str], *, lines: bool = False) -> str:
    text = clean(_first(raw, field), lines=lines)
    if len(text) > question.limit:
        errors[field] = (
            f"This has {len(text):,} characters; at most {question.limit:,} fit. Shorten it a little."
        )
    return text


def _first(raw: Raw, field: str) -> str:
    values = raw.get(field) or ("",)
    return values[0]


def _other(name: str) -> str:
    return f"{name}_text" if "." in name else f"{name}_other_text"


def _put(content: dict[str, Any], name: str, value: Any) -> None:
    section, _dot, key = name.rpartition(".")
    (content.setdefault(section, {}) if section else content)[key] = value


def _get(content: Mapping[str, Any], name: str) -> Any:
    section, _dot, key = name.rpartition(".")
    return (content.get(section, {}) if section else content).get(key)


def _without_empty(content: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: _without_empty(v) if isinstance(v, dict) else v for key, v in content.items()}
    return {key: value for key, value in kept.items() if value not in ("", [], {}, None)}
