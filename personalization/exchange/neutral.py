"""What every format is read into and written from: an example with its answers and what people said of them.

Knows nothing of files, formats or tables. A conversation is several examples, one for each turn; they share
`conversation`. What a person says of themselves (a survey, an inventory) is a `Participant`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from personalization.errors import AlignError
from personalization.records import Message

Kind = Literal["rating", "pick", "ranking", "thumb", "edit", "critique"]
LOWEST, HIGHEST = 1.0, 100.0  # of a rating
LIMITS = {"key": 200, "language": 35, "source": 200, "licence": 100}  # characters
ANSWER_LIMITS = {"maker": 200, "provider": 200}
# How it was asked, in the words of the annotators' console, so that what is read counts there like its own.
RATED, PICKED, RANKED, THUMB = "slider-1-100", "pick-1-of-n", "places-with-ties", "thumb"
ATTRIBUTES, EDITED, SPANS, COMMENT = "attributes-1-100", "edited-answer", "marked-spans", "free-comment"


class FormatError(AlignError):
    """A row that cannot be read; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A marked part of an answer, in characters from 0, `end` excluded."""

    start: int
    end: int
    type: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was said. `answer` is an index into the answers; None means all of them together.

    A pick of None says that none is good; two answers that are alike are a ranking with a tie.
    """

    kind: Kind
    answer: int | None = None
    protocol: str = ""
    attribute: str = ""  # of a rating: of what; empty: overall
    score: float | None = None  # of a rating, 1 to 100
    liked: bool | None = None  # of a thumb
    ranking: tuple[tuple[int, ...], ...] = ()  # best first; a tie shares a tuple
    text: str = ""  # of an edit or a critique
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one person said about one example."""

    person: str
    acts: tuple[Act, ...]
    order: tuple[int, ...] = ()  # the answers as they were shown; empty: not known
    duration_ms: int | None = None
    at: str = ""  # ISO 8601
    may_train: bool = True  # this person agreed to it


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `extra` holds what its format had besides, for the way back."""

    text: str
    maker: str = ""
    provider: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt with its answers and judgements. Raises FormatError when it does not hold together."""

    key: str  # the same row read twice has the same key
    messages: tuple[Message, ...]
    answers: tuple[Answer, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    conversation: str = ""
    turn: int = 0
    language: str = ""
    source: str = ""
    licence: str = ""
    may_train: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.messages:
            raise FormatError("There is no prompt; an example needs at least one message.")
        for name, most in LIMITS.items():
            if len(getattr(self, name)) > most:
                raise FormatError(f"The {name} has more than {most} characters; shorten it.")
        for answer, (name, most) in product(self.answers, ANSWER_LIMITS.items()):
            if len(getattr(answer, name)) > most:
                raise FormatError(f"The {name} of an answer has more than {most} characters; shorten it.")
        for judgement in self.judgements:
            if judgement.order and sorted(set(judgement.order)) != sorted(judgement.order):
                raise FormatError("An answer stands twice in the order that was shown.")
            for act in judgement.acts:
                _check(act, len(self.answers))


@dataclass(frozen=True, slots=True)
class Participant:
    """What one person says of themselves: a survey's answers by name, an inventory's by item number."""

    person: str
    survey: Mapping[str, Any] = field(default_factory=dict)
    items: Mapping[int, int] = field(default_factory=dict)  # 1 to 5
    keyed: bool = False  # minus items are already turned round, as in Johnson's data
    licence: str = ""
    may_train: bool = True


Neutral = Example | Participant


def digest(messages: Sequence[Message], answers: Sequence[Answer]) -> str:
    """Return a key for an example whose format has none: 32 hexadecimal digits of its content's hash."""
    parts = [[(m.role, m.content) for m in messages], [answer.text for answer in answers]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _check(act: Act, answers: int) -> None:
    named = {*([act.answer] if act.answer is not None else []), *(i for tie in act.ranking for i in tie)}
    if not named <= set(range(answers)):
        raise FormatError(f"A {act.kind} names an answer that is not there; there are {answers}.")
    if act.kind == "rating" and (act.score is None or not LOWEST <= act.score <= HIGHEST):
        raise FormatError(f"A rating is {act.score}; ratings go from 1 to 100.")
    if act.kind == "ranking" and not act.ranking:
        raise FormatError("A ranking ranks nothing.")
    if act.kind == "thumb" and act.liked is None:
        raise FormatError("A thumb points neither up nor down.")
    if act.kind in ("rating", "thumb", "edit") and act.answer is None:
        raise FormatError(f"A {act.kind} does not say which answer it is about.")
    if act.kind == "edit" and not act.text:
        raise FormatError("An edited answer is empty.")
    if act.kind == "critique" and not (act.text or act.spans):
        raise FormatError("A critique has neither words nor marked parts.")
