"""Record what a person shows. Every act is one new row; what follows from it for the turn happens here.

Knows nothing of forms, and nothing of learning: `records.py` decides what the rows mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction

from alignapp.adapters.dispatch import wake_for_live
from alignapp.chat.errors import Refused
from alignapp.chat.models import Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.instant.services import follow_rating
from alignapp.profiles.services import current_profile

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

PROTOCOLS = {
    Feedback.Kind.RATING: "slider-1-100",
    Feedback.Kind.PICK: "pick-1-of-n",
    Feedback.Kind.RANKING: "places-with-ties",
    Feedback.Kind.THUMB: "thumb",
    Feedback.Kind.EDIT: "edited-answer",
    Feedback.Kind.CRITIQUE: "free-text",
    Feedback.Kind.FOLLOW_UP: "next-message",
}


def record_feedback(
    person: Person,
    turn: Turn,
    kind: str,
    *,
    reply: Reply | None = None,
    score: int | None = None,
    thumb: int | None = None,
    ranking: Sequence[Sequence[str]] | None = None,
    text: str = "",
    protocol: str = "",
    duration_ms: int | None = None,
    input_kind: str = "",
) -> Feedback:
    """Add one act. A pick also chooses; a pick, a ranking or the last rating reveals the makers.

    `kind` and the values that it needs follow `Feedback`; a pick without reply says that none is good.
    `ranking` lists reply ids, best first, ties in one list. Raises Refused when the act does not fit.
    """
    kind = Feedback.Kind(kind)
    if turn.conversation.person_id != person.pk:
        raise Refused("This conversation is not yours.")
    shown = candidates_of(turn)
    if reply is not None and reply.id not in {r.id for r in shown}:
        raise Refused("That answer is not one of this turn's.")
    if reply is None and kind not in (Feedback.Kind.PICK, Feedback.Kind.RANKING):
        raise Refused("Say which answer you mean.")
    for judged in [reply] if reply else shown:
        if not judged.has_ended:
            raise Refused("Wait until the answer is complete, then judge it.")
    if reply is not None and not reply.text:
        raise Refused("That answer has no text to judge.")
    _check_values(kind, score, thumb, text)
    with transaction.atomic():
        feedback = Feedback.objects.create(
            person=person,
            turn=turn,
            reply=reply,
            kind=kind,
            protocol=protocol or PROTOCOLS[kind],
            score=score,
            thumb=thumb,
            ranking=_checked_ranking(ranking, shown) if kind == Feedback.Kind.RANKING else None,
            text=text.strip(),
            shown=[as_shown(candidate) for candidate in shown],
            blind=turn.is_blind,
            profile_version=current_profile(person),
            duration_ms=duration_ms,
            input_kind=input_kind,
        )
        if kind == Feedback.Kind.PICK and reply is not None:
            turn.choose(reply)
        if _reveals(turn, kind, shown):
            turn.reveal()
            if feedback.blind and any(each.maker == Reply.Maker.ALIGNMENT for each in shown):
                wake_for_live(person.pk)
        if kind == Feedback.Kind.RATING:
            follow_rating(person)
    return feedback


def record_follow_up(reply: Reply, text: str) -> Feedback:
    """Record a person's next message as what it also is: a reaction to the answer before it."""
    return record_feedback(
        reply.turn.conversation.person, reply.turn, Feedback.Kind.FOLLOW_UP, reply=reply, text=text
    )


def candidates_of(turn: Turn) -> list[Reply]:
    """Return the candidates in the order shown, without comparisons."""
    return [reply for reply in turn.replies.order_by("position") if not reply.is_comparison]


def as_shown(reply: Reply) -> dict[str, Any]:
    """Return how a candidate is noted in the row of an act: who it is and what made it."""
    digests = [intervention["digest"] for intervention in reply.interventions]
    return {"reply": str(reply.id), "maker": reply.maker, "digests": digests}


def _check_values(kind: Feedback.Kind, score: int | None, thumb: int | None, text: str) -> None:
    if kind == Feedback.Kind.RATING and not (score is not None and 1 <= score <= 100):
        raise Refused("A rating lies between 1 and 100.")
    if kind == Feedback.Kind.THUMB and thumb not in (-1, 1):
        raise Refused("A thumb is up (1) or down (-1).")
    if kind in (Feedback.Kind.EDIT, Feedback.Kind.CRITIQUE) and not text.strip():
        raise Refused("Write something first.")


def _checked_ranking(ranking: Sequence[Sequence[str]] | None, shown: Sequence[Reply]) -> list[list[str]]:
    places = [[str(reply_id) for reply_id in place] for place in ranking or [] if place]
    named = [reply_id for place in places for reply_id in place]
    usable = {str(reply.id) for reply in shown if reply.text}
    if len(named) != len(set(named)) or set(named) != usable or len(usable) < 2:
        raise Refused("Give every answer a place; answers that are alike may share one.")
    return places


def _reveals(turn: Turn, kind: Feedback.Kind, shown: Sequence[Reply]) -> bool:
    if kind in (Feedback.Kind.PICK, Feedback.Kind.RANKING):
        return True
    rated = set(turn.feedback.filter(kind=Feedback.Kind.RATING).values_list("reply_id", flat=True))
    return all(reply.id in rated for reply in shown if reply.text)
