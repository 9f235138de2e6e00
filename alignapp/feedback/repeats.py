"""How far a person agrees with themselves: pairs that they judged before, judged again and blind.

Knows nothing of pages. A repeat is a row of its own kind, so no method ever learns from it. No model can be
expected to agree with somebody more often than they agree with themselves: this is the ceiling of a win rate.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.chat.errors import Refused
from alignapp.chat.models import Reply, Turn
from alignapp.chat.paths import path_to
from alignapp.feedback.models import Feedback
from alignapp.feedback.opinions import Acts
from alignapp.feedback.services import as_shown
from alignapp.profiles.services import current_profile
from personalization.records import CLEAR_MARGIN, Message
from personalization.statistics import Estimate, wilson

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

PROTOCOL = "repeat-blind-pair"
ANSWERS = ("first", "second", "alike")


@dataclass(frozen=True, slots=True)
class Offer:
    """Two answers to judge again, in the reverse of the order in which they were first shown."""

    turn: Turn
    first: Reply
    second: Reply

    def messages(self) -> tuple[Message, ...]:
        """Return what was said up to the message that both answer, oldest first. One query."""
        return path_to(self.turn)


@dataclass(frozen=True, slots=True)
class Consistency:
    """How many repeats agreed with the judgement before them; a repeat that says "alike" counts half."""

    agreed: float
    estimate: Estimate

    @property
    def words(self) -> str:
        """Say how far the person agrees with themselves, with the interval."""
        share = self.estimate
        said = _("You agreed with yourself in %(agreed)g of %(n)d blind repeats (%(low)d to %(high)d %%).")
        ends = {"low": round(100 * share.low), "high": round(100 * share.high)}
        return said % {"agreed": self.agreed, "n": share.n, **ends}


def offers(person: Person, *, now: datetime | None = None) -> list[Offer]:
    """Return what may be judged again, in an order that looks random and does not change by itself.

    At most one pair of a turn, and each only once. Two queries, whatever the number of turns.
    """
    now = now or timezone.now()
    acts = _acts_by_turn(person)
    every = sorted(act.created_at for of_turn in acts.values() for act in of_turn if not _is_repeat(act))
    replies = _replies_by_turn(person)
    found = []
    for turn_id, of_turn in acts.items():
        if any(_is_repeat(act) for act in of_turn) or not _is_old(of_turn, every, now):
            continue
        if offer := _offer(person, of_turn[0].turn, replies[turn_id], of_turn):
            found.append(offer)
    return sorted(found, key=lambda offer: _draw(person, offer.turn.id))


def record_repeat(person: Person, turn_id: uuid.UUID, answer: str) -> Feedback:
    """Store a second judgement. Raises Refused when the pair is not on offer (any more)."""
    if answer not in ANSWERS:
        raise Refused("Say which of the two answers is better, or that they are alike.")
    with transaction.atomic():
        Turn.objects.for_person(person).select_for_update(of=("self",)).filter(id=turn_id).first()
        offer = next((one for one in offers(person) if one.turn.id == turn_id), None)
        if offer is None:
            raise Refused("These two answers are not on offer; take the next ones.")
        return Feedback.objects.create(
            person=person,
            turn=offer.turn,
            reply={"first": offer.first, "second": offer.second, "alike": None}[answer],
            kind=Feedback.Kind.REPEAT,
            protocol=PROTOCOL,
            shown=[as_shown(offer.first), as_shown(offer.second)],
            blind=True,
            profile_version=current_profile(person),
        )


def consistency(person: Person) -> Consistency | None:
    """Return how often repeats agreed with what was said before them; None without any. Two queries.

    A repeat whose first judgement was removed since says nothing any more and is not counted.
    """
    acts, replies = _acts_by_turn(person), _replies_by_turn(person)
    scores = [
        score
        for turn_id, of_turn in acts.items()
        for at, act in enumerate(of_turn)
        if _is_repeat(act) and (score := _agreement(act, of_turn[:at], replies[turn_id])) is not None
    ]
    return Consistency(sum(scores), wilson(sum(scores), len(scores))) if scores else None


def _agreement(repeat: Feedback, before: list[Feedback], replies: list[Reply]) -> float | None:
    shown = {entry["reply"] for entry in repeat.shown}
    pair = [reply for reply in replies if str(reply.id) in shown]
    verdict = next(iter(_acts(before).verdicts(pair)), None)
    if verdict is None or not verdict.opinion.preferred:
        return None
    preferred = verdict.first if verdict.opinion.preferred > 0 else verdict.second
    return 0.5 if repeat.reply_id is None else float(repeat.reply_id == preferred.id)


def _offer(person: Person, turn: Turn, replies: list[Reply], acts: list[Feedback]) -> Offer | None:
    clear = [
        (verdict.first, verdict.second)
        for verdict in _acts(acts).verdicts(replies)
        if verdict.opinion.preferred
        and verdict.opinion.margin >= CLEAR_MARGIN
        and verdict.first.text.strip() != verdict.second.text.strip()
    ]
    if not clear:
        return None
    earlier, later = min(clear, key=lambda pair: _draw(person, pair[0].id, pair[1].id))
    return Offer(turn, later, earlier)  # candidates come by position: the later one stands first now


def _is_old(acts: list[Feedback], every: list[datetime], now: datetime) -> bool:
    last = max(act.created_at for act in acts)
    since = sum(at > last for at in every)
    return last <= now - timedelta(days=settings.REPEAT_AFTER_DAYS) or since >= settings.REPEAT_AFTER_ACTS


def _acts_by_turn(person: Person) -> dict[uuid.UUID, list[Feedback]]:
    acts: dict[uuid.UUID, list[Feedback]] = defaultdict(list)
    rows = Feedback.objects.for_person(person).select_related("turn")
    for act in rows.order_by("created_at", "id"):
        acts[act.turn_id].append(act)
    return acts


def _replies_by_turn(person: Person) -> dict[uuid.UUID, list[Reply]]:
    replies: dict[uuid.UUID, list[Reply]] = defaultdict(list)
    rows = Reply.objects.for_person(person).filter(status=Reply.Status.DONE, is_comparison=False)
    for reply in rows.filter(turn__feedback__isnull=False).distinct().order_by("turn_id", "position"):
        if reply.text.strip():
            replies[reply.turn_id].append(reply)
    return replies


def _acts(acts: list[Feedback]) -> Acts:
    return Acts([act for act in acts if not _is_repeat(act)])


def _is_repeat(act: Feedback) -> bool:
    return act.kind == Feedback.Kind.REPEAT


def _draw(person: Person, *ids: uuid.UUID) -> str:
    """Return a number that nobody can guess from the ids' order and that stays the same."""
    return hashlib.sha256(":".join(str(part) for part in (person.pk, *ids)).encode()).hexdigest()
