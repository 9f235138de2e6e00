"""A person's ratings beside the states of the answers: what the closed form is made of.

Knows nothing of artifacts or pages. Latest ratings only, of complete answers in conversations that may be
learned from, as `alignapp.feedback.records` takes them.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings

from alignapp.accounts.consent import has_consent
from alignapp.chat.models import Reply
from alignapp.feedback.models import Feedback
from alignapp.instant.models import ReplyStates
from alignapp.instant.start import start_for
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
    """What the ratings say, which acts it rests on, and the rated answers whose states are missing."""

    direction: Direction | None = None
    reward: Reward | None = None
    model_revision: str = ""
    layers: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    missing: tuple[uuid.UUID, ...] = field(default=())


def gather(person: Person, choice: InstantChoice) -> Evidence:
    """Return the evidence of a person. At most seven queries, whatever the number of ratings."""
    if not has_consent(person):
        return Evidence()
    by_turn = _latest(person, choice)
    replies = [reply_id for acts in by_turn.values() for reply_id in acts]
    rows = ReplyStates.objects.for_person(person).filter(
        reply__in=replies, reply__status=Reply.Status.DONE, reply__is_comparison=False
    )
    newest_first = rows.select_related("reply__turn").order_by("-reply__created_at")
    states = {row.reply_id: row for row in newest_first}
    revision = next((row.model_revision for row in states.values()), "")
    layers = next((tuple(row.layers) for row in states.values()), ())
    usable = {
        key: row
        for key, row in states.items()
        if (row.model_revision, tuple(row.layers)) == (revision, layers)
    }
    sums, sources, rated = Sums(layers), [], []
    for turn_id, acts in by_turn.items():
        kept = [reply_id for reply_id in acts if reply_id in usable]
        if len(kept) < 2:
            continue
        import numpy as np

        together = np.stack([unpack(bytes(usable[reply_id].means), len(layers)) for reply_id in kept])
        scores = tuple(float(acts[reply_id].score or 0) for reply_id in kept)
        sums.put(str(turn_id), together, scores)
        rated.append(RatedPrompt(str(usable[kept[0]].reply.turn.conversation_id), together, scores))
        sources += [str(acts[reply_id].id) for reply_id in kept]
    subject = read_subject(effects.place(settings.VALUES_DIR, revision), layers) if layers else None
    start = start_for(person, revision, layers) if choice.starts and rated else None
    missing = _missing(person, replies, set(usable))
    return Evidence(
        sums.direction(subject, start), learn_reward(rated), revision, layers, tuple(sources), missing
    )


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
