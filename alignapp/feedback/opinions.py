"""What one turn's acts say about its candidates: the latest act of each kind, and pairs with a winner.

Knows nothing of prompts or training. Works on rows that are already loaded.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alignapp.chat.models import Reply
from alignapp.feedback.models import Feedback

# Two ratings closer than this many points of 100 say "alike": a slider is not steadier than that.
MINIMUM_DIFFERENCE = 5


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one protocol says about two candidates; `preferred`: 1 the first, -1 the second, 0 alike."""

    preferred: int
    at: int  # the place of its latest act among the turn's acts
    margin: float  # the rating difference in (0, 1]; 1 when none was given
    protocol: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The opinion that counts, the latest; `contradicted` when another one says the reverse."""

    first: Reply
    second: Reply
    opinion: Opinion
    contradicted: bool


class Acts:
    """The acts on one turn, oldest first; a later act of a kind replaces an earlier one."""

    def __init__(self, acts: Sequence[Feedback]) -> None:
        self._latest: dict[tuple[str, uuid.UUID | None], tuple[int, Feedback]] = {}
        for at, act in enumerate(acts):
            per_turn = act.kind in (Feedback.Kind.PICK, Feedback.Kind.RANKING)
            self._latest[act.kind, None if per_turn else act.reply_id] = (at, act)

    def latest(self, kind: Feedback.Kind, reply: Reply | None = None) -> Feedback | None:
        """Return the act of this kind that counts, about this reply or about the turn."""
        found = self._latest.get((kind, reply.id if reply else None))
        return found[1] if found else None

    def verdicts(self, candidates: Sequence[Reply]) -> Iterator[Verdict]:
        """Yield a verdict for every two candidates about which anything was said."""
        for first, second in itertools.combinations(candidates, 2):
            opinions = [o for o in (self._rated(first, second), self._picked(first, second)) if o]
            opinions += [o for o in (self._ranked(first, second),) if o]
            if opinions:
                last = max(opinions, key=lambda opinion: opinion.at)
                reverse = any(o.preferred * last.preferred < 0 for o in opinions)
                yield Verdict(first, second, last, reverse)

    def _rated(self, first: Reply, second: Reply) -> Opinion | None:
        one = self._latest.get((Feedback.Kind.RATING, first.id))
        two = self._latest.get((Feedback.Kind.RATING, second.id))
        if one is None or two is None:
            return None
        difference = (one[1].score or 0) - (two[1].score or 0)
        preferred = 0 if abs(difference) < MINIMUM_DIFFERENCE else _sign(difference)
        sources = (str(one[1].id), str(two[1].id))
        return Opinion(preferred, max(one[0], two[0]), abs(difference) / 100, one[1].protocol, sources)

    def _picked(self, first: Reply, second: Reply) -> Opinion | None:
        at, act = self._latest.get((Feedback.Kind.PICK, None), (0, None))
        if act is None or act.reply_id not in (first.id, second.id):
            return None
        preferred = 1 if act.reply_id == first.id else -1
        return Opinion(preferred, at, self._margin(first, second, preferred), act.protocol, (str(act.id),))

    def _ranked(self, first: Reply, second: Reply) -> Opinion | None:
        at, act = self._latest.get((Feedback.Kind.RANKING, None), (0, None))
        if act is None:
            return None
        places = {reply_id: place for place, ids in enumerate(act.ranking or []) for reply_id in ids}
        if str(first.id) not in places or str(second.id) not in places:
            return None
        preferred = _sign(places[str(second.id)] - places[str(first.id)])
        return Opinion(preferred, at, self._margin(first, second, preferred), act.protocol, (str(act.id),))

    def _margin(self, first: Reply, second: Reply, preferred: int) -> float:
        rated = self._rated(first, second)
        return rated.margin if rated and rated.preferred == preferred and preferred else 1.0


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
