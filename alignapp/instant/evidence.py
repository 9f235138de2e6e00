"""A person's ratings beside the states of the answers: what the closed form is made of.

Knows nothing of artifacts or pages. Latest ratings only, of complete answers in conversations that may be
learned from, as `alignapp.feedback.records` takes them.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings

from alignapp.accounts.consent import has_consent
from alignapp.chat.models import Reply
from alignapp.feedback.models import Feedback
from alignapp.instant.models import ReplyStates
from alignapp.instant.start import Begun, start_for
from personalization.steering.instant import Direction, Sums, read_subject, unpack
from personalization.steering.reward import RatedPrompt, Reward, learn_reward
from personalization.values import effects

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from alignapp.instant.models import InstantChoice

# 4 answers of 256 prompts are about 6 MB to read: a taste of years ago may fade.
MOST_PROMPTS = 256


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the ratings say, what it rests on, and the rated answers whose states are missing."""

    direction: Direction | None = None
    reward: Reward | None = None
    model_revision: str = ""
    layers: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    missing: tuple[uuid.UUID, ...] = field(default=())
    began: Mapping[str, str] = field(default_factory=dict)  # the rows that it started from, by what they are


@dataclass(frozen=True, slots=True)
class _Read:
    """Ratings by turn, and the states of the rated answers, all of the newest model revision."""

    by_turn: dict[uuid.UUID, dict[uuid.UUID, Feedback]]
    states: dict[uuid.UUID, ReplyStates]
    revision: str
    layers: tuple[int, ...]

    def prompts(self) -> Iterator[tuple[uuid.UUID, list[Feedback], RatedPrompt]]:
        """Yield each turn with two answers or more whose states are known, and its ratings."""
        import numpy as np

        for turn_id, acts in self.by_turn.items():
            kept = [reply_id for reply_id in acts if reply_id in self.states]
            if len(kept) < 2:
                continue
            rows, rated = [self.states[one] for one in kept], [acts[one] for one in kept]
            together = np.stack([unpack(bytes(row.means), len(self.layers)) for row in rows])
            scores = tuple(float(act.score or 0) for act in rated)
            yield turn_id, rated, RatedPrompt(str(rows[0].reply.turn.conversation_id), together, scores)


def gather(person: Person, choice: InstantChoice) -> Evidence:
    """Return the evidence of a person. At most seven queries, whatever the number of ratings."""
    if not has_consent(person):
        return Evidence()
    read = _read(person, choice)
    layers, revision = read.layers, read.revision
    sums, sources, rated = Sums(layers), [], []
    for turn_id, acts, prompt in read.prompts():
        sums.put(str(turn_id), prompt.states, prompt.scores)
        rated.append(prompt)
        sources += [str(act.id) for act in acts]
    subject = read_subject(effects.place(settings.VALUES_DIR, revision), layers) if layers else None
    begun = start_for(person, revision, layers) if choice.starts and rated else Begun()
    replies = [reply_id for of_turn in read.by_turn.values() for reply_id in of_turn]
    missing = _missing(person, replies, set(read.states))
    return Evidence(
        sums.direction(subject, begun.start),
        learn_reward(rated),
        revision,
        layers,
        tuple(sources),
        missing,
        begun.sources,
    )


def without_start(person: Person, choice: InstantChoice) -> tuple[str, Direction | None]:
    """Return the base model's revision, and what the ratings alone say on it. Three queries."""
    if not has_consent(person):
        return "", None
    read = _read(person, choice)
    sums = Sums(read.layers)
    for turn_id, _acts, prompt in read.prompts():
        sums.put(str(turn_id), prompt.states, prompt.scores)
    return read.revision, sums.direction()


def rated_prompts(person: Person, choice: InstantChoice) -> list[RatedPrompt] | None:
    """Return what `gather` learns from; None where the person did not consent. Three queries."""
    if not has_consent(person):
        return None
    return [prompt for _turn, _acts, prompt in _read(person, choice).prompts()]


def _read(person: Person, choice: InstantChoice) -> _Read:
    by_turn = _latest(person, choice)
    rows = ReplyStates.objects.for_person(person).filter(
        reply__in=[reply_id for acts in by_turn.values() for reply_id in acts],
        reply__status=Reply.Status.DONE,
        reply__is_comparison=False,
    )
    states = {row.reply_id: row for row in rows.select_related("reply__turn").order_by("-reply__created_at")}
    newest = next(iter(states.values()), None)
    if newest is None:
        return _Read(by_turn, {}, "", ())
    same = (newest.model_revision, newest.layers)
    usable = {key: row for key, row in states.items() if (row.model_revision, row.layers) == same}
    return _Read(by_turn, usable, newest.model_revision, tuple(newest.layers))


def _latest(person: Person, choice: InstantChoice) -> dict[uuid.UUID, dict[uuid.UUID, Feedback]]:
    """Return the latest rating of each answer by turn, of the turns rated last."""
    rows = Feedback.objects.for_person(person).filter(
        kind=Feedback.Kind.RATING, turn__conversation__for_training=True
    )
    if choice.since is not None:
        rows = rows.filter(created_at__gt=choice.since)
    by_turn: dict[uuid.UUID, dict[uuid.UUID, Feedback]] = defaultdict(dict)
    for act in rows.order_by("created_at", "id"):
        assert act.reply_id is not None  # the table's own constraint
        by_turn[act.turn_id][act.reply_id] = act
    newest = sorted(by_turn, key=lambda turn: max(act.created_at for act in by_turn[turn].values()))
    return {turn_id: by_turn[turn_id] for turn_id in newest[-MOST_PROMPTS:]}


def _missing(person: Person, replies: list[uuid.UUID], known: set[uuid.UUID]) -> tuple[uuid.UUID, ...]:
    wanted = [reply_id for reply_id in replies if reply_id not in known]
    rows = Reply.objects.for_person(person).filter(
        id__in=wanted, status=Reply.Status.DONE, is_comparison=False
    )
    return tuple(rows.exclude(text="").values_list("id", flat=True))
