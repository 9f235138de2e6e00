"""What one turn's acts say about its candidates: the latest act of each kind, and pairs with a winner.

Knows nothing of prompts or training. Works on rows that are already loaded, of the chat or of a project.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from alignapp.feedback.models import Feedback

# Two ratings closer than this many points of 100 say "alike": a slider is not steadier than that.
MINIMUM_DIFFERENCE = 5


class Answer(Protocol):
    """What is judged: a reply of the chat, or a candidate of a project's item."""

    @property
    def id(self) -> Any:
        """Return its UUID."""

    @property
    def text(self) -> Any:
        """Return its words."""


class Said(Protocol):
    """One act: what rows of the chat have, and what is read from those of a project (`alignapp.studies`)."""

    @property
    def id(self) -> Any:
        """Return the id of the row behind it."""

    @property
    def kind(self) -> Any:
        """Return a `Feedback.Kind`."""

    @property
    def protocol(self) -> Any:
        """Return how it was asked."""

    @property
    def answer_id(self) -> Any:
        """Return the id of the answer that it is about; None where it is about all of them."""

    @property
    def score(self) -> Any:
        """Return a rating, 1 to 100."""

    @property
    def thumb(self) -> Any:
        """Return 1 or -1."""

    @property
    def ranking(self) -> Any:
        """Return lists of ids of answers, best first."""

    @property
    def text(self) -> Any:
        """Return the words of an edit or a critique."""


Act = TypeVar("Act", bound=Said, covariant=True)
Judged = TypeVar("Judged", bound=Answer)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one protocol says about two candidates; `preferred`: 1 the first, -1 the second, 0 alike."""

    preferred: int
    at: int  # the place of its latest act among the turn's acts
    margin: float  # the rating difference in (0, 1]; 1 when none was given
    protocol: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict(Generic[Judged]):
    """The opinion that counts, the latest; `contradicted` when another one says the reverse."""

    first: Judged
    second: Judged
    opinion: Opinion
    contradicted: bool


class Acts(Generic[Act]):
    """The acts on one turn, oldest first; a later act of a kind replaces an earlier one."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self._latest: dict[tuple[str, uuid.UUID | None], tuple[int, Act]] = {}
        for at, act in enumerate(acts):
            per_turn = act.kind in (Feedback.Kind.PICK, Feedback.Kind.RANKING)
            self._latest[act.kind, None if per_turn else act.answer_id] = (at, act)

    def latest(self, kind: Feedback.Kind, reply: Answer | None = None) -> Act | None:
        """Return the act of this kind that counts, about this reply or about the turn."""
        found = self._latest.get((kind, reply.id if reply else None))
        return found[1] if found else None

    def verdicts(self, candidates: Sequence[Judged]) -> Iterator[Verdict[Judged]]:
        """Yield a verdict for every two candidates about which anything was said."""
        for first, second in itertools.combinations(candidates, 2):
            opinions = [o for o in (self._rated(first, second), self._picked(first, second)) if o]
            opinions += [o for o in (self._ranked(first, second),) if o]
            if opinions:
                last = max(opinions, key=lambda opinion: opinion.at)
                reverse = any(o.preferred * last.preferred < 0 for o in opinions)
                yield Verdict(first, second, last, reverse)

    def _rated(self, first: Answer, second: Answer) -> Opinion | None:
        one = self._latest.get((Feedback.Kind.RATING, first.id))
        two = self._latest.get((Feedback.Kind.RATING, second.id))
        if one is None or two is None:
            return None
        difference = (one[1].score or 0) - (two[1].score or 0)
        preferred = 0 if abs(difference) < MINIMUM_DIFFERENCE else _sign(difference)
        sources = (str(one[1].id), str(two[1].id))
        return Opinion(preferred, max(one[0], two[0]), abs(difference) / 100, one[1].protocol, sources)

    def _picked(self, first: Answer, second: Answer) -> Opinion | None:
        at, act = self._latest.get((Feedback.Kind.PICK, None), (0, None))
        if act is None or act.answer_id not in (first.id, second.id):
            return None
        preferred = 1 if act.answer_id == first.id else -1
        return Opinion(preferred, at, self._margin(first, second, preferred), act.protocol, (str(act.id),))

    def _ranked(self, first: Answer, second: Answer) -> Opinion | None:
        at, act = self._latest.get((Feedback.Kind.RANKING, None), (0, None))
        if act is None:
            return None
        places = {reply_id: place for place, ids in enumerate(act.ranking or []) for reply_id in ids}
        if str(first.id) not in places or str(second.id) not in places:
            return None
        preferred = _sign(places[str(second.id)] - places[str(first.id)])
        return Opinion(preferred, at, self._margin(first, second, preferred), act.protocol, (str(act.id),))

    def _margin(self, first: Answer, second: Answer, preferred: int) -> float:
        rated = self._rated(first, second)
        return rated.margin if rated and rated.preferred == preferred and preferred else 1.0


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
