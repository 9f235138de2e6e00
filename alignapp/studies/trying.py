"""Have a study's reward model judge answers that a manager pasted. Knows nothing of engines or pages.

What was pasted and what came of it lie in one stream of the broker, for an hour, for whoever pasted it:
erasing them, or the reward model's account, removes it at once. Nothing of it is learned from.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import redis
from django.db import transaction
from django.utils.translation import gettext as _

from alignapp import limits
from alignapp.adapters import dispatch
from alignapp.chat import streams
from alignapp.studies.models import RewardModel
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

MOST_ANSWERS = 6
MOST_CHARACTERS = 20_000  # of the prompt, and of each answer
A_MINUTE = 20
ACT = "judge"  # as `alignapp.limits` counts it
STALLED_SECONDS = 120  # without a word; then no worker took it on


@dataclass(frozen=True, slots=True)
class Tried:
    """What was pasted: by whom, for which reward model (ids), and when (seconds since 1970)."""

    id: str
    by: str
    reward: str
    at: float
    prompt: str
    answers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it: how many answers were read, then each one's reward as log-odds, or why there is none.

    Only differences of log-odds mean anything; their mean is 0.
    """

    read: int = 0
    log_odds: Sequence[float] = field(default_factory=tuple)
    error: str = ""

    @property
    def is_open(self) -> bool:
        """Whether a worker is still to say something."""
        return not self.log_odds and not self.error

    def beats(self, one: int, other: int) -> float:
        """Return how likely one answer is preferred to the other, by their places: Bradley and Terry."""
        return 0.5 * (1.0 + math.tanh(0.5 * (self.log_odds[one] - self.log_odds[other])))


def begin(by: Person, reward: RewardModel, prompt: str, answers: Sequence[str]) -> Tried:
    """Have a generation worker judge the answers to a prompt.

    Raises AlignError for no prompt, fewer than two answers, too many or too long ones, and where the broker
    does not answer; TooMany where this person asks too often.
    """
    _check(prompt, answers)
    limits.take(ACT, by.pk, 1, capacity=A_MINUTE, per_seconds=60, what=_("judgements"))
    made = Tried(str(uuid.uuid4()), str(by.pk), str(reward.pk), time.time(), prompt, list(answers))
    name = _stream(made.id)
    try:
        with transaction.atomic():
            streams.publish(name, "tried", **asdict(made))
            for owner in (by.pk, reward.person_id):
                streams.note(owner, name)
            dispatch.wake_for_tried(made.id)
    except redis.RedisError:
        raise AlignError(_away()) from None
    return made


def find(tried_id: object, by: Person, reward: RewardModel) -> tuple[Tried, Found] | None:
    """Return what this person had this reward model judge, and what came of it so far; None once it is gone.

    Raises AlignError where the broker does not answer.
    """
    try:
        said = streams.events(_stream(tried_id))
    except redis.RedisError:
        raise AlignError(_away()) from None
    tried = _tried(said)
    if tried is None or (tried.by, tried.reward) != (str(by.pk), str(reward.pk)):
        return None
    found = Found(
        read=sum(event == "read" for event, _data in said),
        **next((data for event, data in said if event == "done"), {}),
    )
    if found.is_open and not found.read and time.time() - tried.at > STALLED_SECONDS:
        found = Found(error=_("No generation worker took it on. Send it again."))
    return tried, found


def take(tried_id: str) -> Tried | None:
    """Return what one message asks for: once, and None for what has expired."""
    name = _stream(tried_id)
    tried = _tried(streams.events(name))
    return tried if tried is not None and streams.take_once(name) else None


def tell_read(tried_id: str) -> None:
    """Say that one more answer was read."""
    streams.publish(_stream(tried_id), "read")


def tell(tried_id: str, found: Found) -> None:
    """Say what came of it; nothing where whoever pasted it was erased meanwhile."""
    name = _stream(tried_id)
    if streams.events(name):
        streams.publish(name, "done", log_odds=list(found.log_odds), error=found.error)


def _tried(said: Sequence[tuple[str, dict[str, Any]]]) -> Tried | None:
    return next((Tried(**data) for event, data in said if event == "tried"), None)


def _stream(tried_id: object) -> str:
    return f"tried:{tried_id}"


def _check(prompt: str, answers: Sequence[str]) -> None:
    if not prompt.strip():
        raise AlignError(_("Paste the prompt that they answer."))
    if not 2 <= len(answers) <= MOST_ANSWERS:
        words = _("Paste 2 to %(most)d answers, not %(n)d: only differences between them mean anything.")
        raise AlignError(words % {"most": MOST_ANSWERS, "n": len(answers)})
    if any(len(text) > MOST_CHARACTERS for text in (prompt, *answers)):
        raise AlignError(_("A prompt or an answer has at most %(n)d characters.") % {"n": MOST_CHARACTERS})


def _away() -> str:
    return _("The broker does not answer, so nothing can be judged now. Your text is kept: send it again.")
