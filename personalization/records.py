"""What a method learns from, as plain data.

Knows nothing of forms, rows or tensors: `alignapp.feedback.records` makes these from rows, and
benchmarks make them from data sets. Every record names the conversation it came from, because
splits are by conversation, and the ids of the feedback rows behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

Role = Literal["system", "user", "assistant"]


# Ratings that differ by less than this (of 1) are within the noise of a hand on a slider: what is measured on
# them is the hand. Picks and rankings without ratings count fully.
CLEAR_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Record:
    """What every record carries: the conversation, the rows it came from, the messages before the answer."""

    conversation: str
    sources: tuple[str, ...]
    prompt: tuple[Message, ...]


AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True, slots=True)
class Pair(Record):
    """One answer preferred to another. `margin` is the rating difference in (0, 1], 1 when none was given."""

    chosen: str
    rejected: str
    margin: float = 1.0
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Thumb(Record):
    """One answer, liked or not, without a rival."""

    completion: str
    desirable: bool


@dataclass(frozen=True, slots=True)
class RatedGroup(Record):
    """Several answers to one prompt with their ratings, 1 to 100."""

    completions: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Edit(Record):
    """An answer and what the person would have wanted instead."""

    original: str
    edited: str


@dataclass(frozen=True, slots=True)
class Critique(Record):
    """An answer and what the person says is wrong or right with it."""

    completion: str
    text: str


@dataclass(frozen=True, slots=True)
class Records:
    """Everything one person showed, with what could not be used counted."""

    pairs: tuple[Pair, ...] = ()
    thumbs: tuple[Thumb, ...] = ()
    groups: tuple[RatedGroup, ...] = ()
    edits: tuple[Edit, ...] = ()
    critiques: tuple[Critique, ...] = ()
    ties: int = 0  # pairs of candidates that were rated or ranked alike
    contradictions: int = 0  # pairs whose pick, ranking and rating disagree; the latest act decides
    follow_ups: tuple[Critique, ...] = field(default=())
    # What critiques and follow-ups taught, beside an answer that the model wrote (`training.revise`).
    revised: tuple[Pair, ...] = ()

    def of(self, conversations: Iterable[str]) -> Records:
        """Return the records of these conversations only; the counts stay those of the whole."""
        wanted = set(conversations)

        def keep(records: Sequence[AnyRecord]) -> tuple[AnyRecord, ...]:
            return tuple(record for record in records if record.conversation in wanted)

        return Records(
            pairs=keep(self.pairs),
            thumbs=keep(self.thumbs),
            groups=keep(self.groups),
            edits=keep(self.edits),
            critiques=keep(self.critiques),
            ties=self.ties,
            contradictions=self.contradictions,
            follow_ups=keep(self.follow_ups),
            revised=keep(self.revised),
        )

    @property
    def every(self) -> tuple[Record, ...]:
        """All records that hold anything to learn from."""
        return (
            *(*self.pairs, *self.thumbs, *self.groups, *self.edits),
            *(*self.critiques, *self.follow_ups, *self.revised),
        )

    @property
    def conversations(self) -> tuple[str, ...]:
        """The conversations that hold anything to learn from, sorted."""
        return tuple(sorted({record.conversation for record in self.every}))
