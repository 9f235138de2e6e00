"""What a person does in a conversation, where one act writes several rows or wakes a worker.

Knows nothing of pages or tokens: replies are written by workers, and shown by `events.py`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from alignapp.adapters import dispatch
from alignapp.adapters.composition import compose
from alignapp.chat import candidates, streams, waiting
from alignapp.chat.errors import Refused
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_follow_up
from alignapp.instant.services import refresh_soon, reward_of
from alignapp.leased import NOBODY
from alignapp.limits import take
from personalization.engine.requests import Sampling

TITLE_CHARACTERS = 70
# A queued reply that nobody took for this long gets "try again"; the sweeper usually is faster.
QUEUE_PATIENCE = timedelta(seconds=120)


def start_turn(
    conversation: Conversation,
    text: str,
    parent: Reply | None = None,
    *,
    earlier: Sequence[Mapping[str, str]] = (),
    think_longer: bool = False,
) -> Turn:
    """Add a person's message under `parent` (none: a first message) and queue its candidates.

    `earlier` holds what stood before a first message that a program sent. Thought about longer, it gets one
    answer: of several attempts the one that the person would like best.

    Raises Refused (too long, empty, nothing to answer to) and TooMany; then nothing was queued.
    """
    text = _checked(text)
    person = conversation.person
    if parent is not None and parent.turn.conversation_id != conversation.id:
        raise Refused("That answer belongs to another conversation.")
    if parent is not None and not (parent.has_ended and parent.text):
        raise Refused("That answer has no text to go on from. Pick another one, or try it again.")
    if think_longer:
        _check_may_think_longer(conversation)
    count = 1 if think_longer else candidates.count_for(person, is_first=parent is None)
    limit(conversation.person_id, candidates.BEST_OF if think_longer else count)
    with transaction.atomic():
        if parent is not None:
            parent.turn.choose(parent)
            _record_follow_up(parent, text)
        turn: Turn = Turn.objects.create(
            conversation=conversation, parent=parent, text=text, blind=count > 1, earlier=list(earlier)
        )
        makers = candidates.distinct_makers(person, personalised=conversation.personalised)
        generator = random.SystemRandom()
        planned = (
            candidates.longer(makers, generator)
            if think_longer
            else candidates.plan(makers, count, generator)
        )
        for position, candidate in enumerate(planned):
            queue(turn, position, candidate)
        if not conversation.title:
            conversation.title = title_of(text)
        conversation.save(update_fields=["title", "updated_at"])
    return turn


def _check_may_think_longer(conversation: Conversation) -> None:
    if not conversation.personalised:
        raise Refused("Nothing of yours acts in this conversation. Switch on “Personalised” to think longer.")
    if reward_of(conversation.person) is None:
        raise Refused(
            "Your ratings do not tell yet which of several answers you would like best. Rate the answers to "
            "a few more prompts, or send this without thinking longer; your text is kept."
        )


def _checked(text: str) -> str:
    text = text.replace("\x00", "").replace("\r\n", "\n").strip()
    if not text:
        raise Refused("Write something first.")
    if len(text) > settings.MAX_PROMPT_CHARACTERS:
        raise Refused(
            f"Your message has {len(text):,} characters; {settings.MAX_PROMPT_CHARACTERS:,} are possible. "
            f"Shorten it by {len(text) - settings.MAX_PROMPT_CHARACTERS:,}; your text is kept."
        )
    return text


def limit(person_id: object, count: int) -> None:
    """Take so many answers from what a person may ask for, if they fit into the queue. Raises TooMany."""
    take(
        "replies",
        person_id,
        count,
        capacity=settings.REPLIES_PER_MINUTE,
        per_seconds=60,
        what="answers",
    )
    # Second, so that asking a full queue again and again uses up what one may ask for.
    waiting.check_room(person_id, count)


def title_of(text: str) -> str:
    """Return a conversation's name: the beginning of its first message."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"


def _record_follow_up(parent: Reply, text: str) -> None:
    known = Feedback.objects.filter(reply=parent, kind=Feedback.Kind.FOLLOW_UP, text=text)
    if not known.exists():  # asking again is no new opinion
        record_follow_up(parent, text)


def queue(
    turn: Turn, position: int, candidate: candidates.Candidate, *, is_comparison: bool = False
) -> Reply:
    """Add one answer to a turn and wake a worker for it, when the transaction commits."""
    shape = candidate.composition
    reply: Reply = Reply.objects.create(
        turn=turn,
        position=position,
        maker=candidate.maker,
        is_comparison=is_comparison,
        profile_version=shape.profile_version,
        alignment_version=shape.alignment_version,
        system_message=shape.system_message,
        interventions=list(shape.interventions),
        sampling=candidate.sampling.as_dict(),
        decoding=candidate.decoding,
    )
    dispatch.wake_for_reply(reply)
    return reply


def go_on_from(turn: Turn) -> Reply:
    """Return the reply that the next message answers: chosen, the only one, or rated best. Raises Refused."""
    if turn.chosen is not None:
        return turn.chosen
    replies: list[Reply] = [r for r in turn.replies.all() if not r.is_comparison]
    if not all(r.has_ended for r in replies):
        raise Refused("The answers are still being written. Wait for them, or stop them first.")
    usable = [r for r in replies if r.text]
    if not usable:
        raise Refused("There is no answer yet to go on from. Try again first.")
    if len(usable) == 1:
        return usable[0]
    latest = {f.reply_id: f.score or 0 for f in turn.feedback.filter(kind=Feedback.Kind.RATING)}
    best = [r for r in usable if r.id in latest and latest[r.id] == max(latest.values())]
    if len(best) == 1:
        return best[0]
    raise Refused("Pick the answer that you want to go on with, then send your message; your text is kept.")


def go_on_with(reply: Reply) -> None:
    """Let the conversation go on with this reply. Raises Refused when it is no finished candidate."""
    if reply.is_comparison or not reply.has_ended or not reply.text:
        raise Refused("Only a complete answer of this turn can be gone on with.")
    reply.turn.choose(reply)


def regenerate(turn: Turn, *, think_longer: bool = False) -> Turn:
    """Ask the same again: a sibling turn with the same text. Nothing is overwritten."""
    return edit(turn, turn.text, think_longer=think_longer)


def edit(turn: Turn, text: str, *, think_longer: bool = False) -> Turn:
    """Ask something else at this place: a sibling turn. Stops what is still being written here."""
    sibling = start_turn(
        turn.conversation, text, turn.parent, earlier=turn.earlier, think_longer=think_longer
    )
    stop_turn(turn)
    return sibling


def stop_turn(turn: Turn) -> None:
    """Stop every reply of this turn that is still being written."""
    for reply in turn.replies.exclude(status__in=Reply.ENDED):
        stop(reply)


def stop(reply: Reply) -> None:
    """Stop one reply at the next token and keep what was written; does nothing when it has ended.

    A reply that no worker holds is ended here; otherwise the worker ends it.
    """
    streams.request_cancel(reply.id)
    now = timezone.now()
    unheld = Q(status=Reply.Status.QUEUED) | Q(lease_until__lt=now)
    open_rows = Reply.objects.filter(pk=reply.pk).exclude(status__in=Reply.ENDED)
    ended = open_rows.filter(unheld).update(
        status=Reply.Status.STOPPED,
        text=streams.text_so_far(reply.id),
        finish_reason="cancelled",
        **NOBODY,
        finished_at=now,
    )
    if ended:
        streams.publish(reply.id, "done", status=Reply.Status.STOPPED, error="")


def is_stalled(reply: Reply) -> bool:
    """Say whether the worker of an open reply is gone, or none came for too long."""
    now = timezone.now()
    if reply.status == Reply.Status.RUNNING:
        return reply.lease_until is None or reply.lease_until < now
    return reply.status == Reply.Status.QUEUED and reply.created_at < now - QUEUE_PATIENCE


def retry(reply: Reply) -> None:
    """Make a failed or stalled reply once more, with the same seed. Raises Refused when it is neither."""
    reply.refresh_from_db()
    if not (reply.status == Reply.Status.FAILED or is_stalled(reply)):
        raise Refused("This answer is complete or still being written; there is nothing to try again.")
    limit(reply.turn.conversation.person_id, reply.attempts)
    # Only the state that was judged may change: a worker that came back meanwhile keeps the row.
    same_state = Reply.objects.filter(
        pk=reply.pk, status=reply.status, lease_owner=reply.lease_owner, lease_until=reply.lease_until
    )
    with transaction.atomic():
        changed = same_state.update(
            status=Reply.Status.QUEUED,
            text="",
            error="",
            finish_reason="",
            token_count=0,
            **NOBODY,
            finished_at=None,
        )
        if changed:
            streams.delete(reply.id)
            dispatch.wake_for_reply(reply)


def compare_with_base(reply: Reply) -> Reply:
    """Return what the base model says to the same prompt with the same sampling and seed; made at most once.

    Seeing it tells who made the answer, so the turn is no longer blind. Raises Refused and TooMany.
    """
    turn = reply.turn
    if reply.is_comparison or not (reply.interventions or reply.system_message):
        turn.reveal()
        raise Refused("This answer is the base model's own, so there is nothing to compare it with.")
    with transaction.atomic():
        Turn.objects.select_for_update().get(pk=turn.pk)  # one comparison, however often the key is hit
        other: Reply
        sampling = Sampling(**reply.sampling)
        for other in turn.replies.filter(is_comparison=True):
            if Sampling(**other.sampling) == sampling:
                return other
        limit(turn.conversation.person_id, 1)
        turn.reveal()
        base = compose(turn.conversation.person, maker=Reply.Maker.BASE)
        last = turn.replies.aggregate(last=Max("position"))["last"]
        candidate = candidates.Candidate(Reply.Maker.BASE, base, sampling)
        return queue(turn, last + 1, candidate, is_comparison=True)


def delete(conversation: Conversation) -> None:
    """Delete a conversation with its turns, replies and feedback, and their broker keys."""
    reply_ids = list(Reply.objects.filter(turn__conversation=conversation).values_list("id", flat=True))
    for reply_id in reply_ids:
        streams.request_cancel(reply_id)
    person = conversation.person
    ratings = Feedback.objects.filter(turn__conversation=conversation, kind=Feedback.Kind.RATING)
    was_rated = ratings.exists()  # most of what programs ask is deleted at once, and never is
    conversation.delete()
    if was_rated:
        refresh_soon(person)
    streams.delete(*reply_ids)
