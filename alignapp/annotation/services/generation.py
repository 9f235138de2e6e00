"""Candidates that the base model writes for items that came without: queued as any other reply.

`go_on` is called again and again, by the sweeper, until nothing is left: it takes over what was written
and queues more, so it goes on after any restart and with every page closed. Each item's replies lie in a
conversation of the owner's that no list shows and that goes once their text is taken over.
"""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from alignapp.adapters.composition import compose
from alignapp.annotation.models import Candidate, Item, Project
from alignapp.chat.candidates import Candidate as Planned
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.chat.services import delete, queue
from personalization.engine.requests import Sampling

AT_ONCE = 40  # replies of one project that wait or are written; the chat's come between them
KEPT_AT_MOST = timedelta(days=7)
TOP_P = 0.95


@dataclass(frozen=True, slots=True)
class Progress:
    """Items without candidates yet: all, and those for which every reply failed."""

    waiting: int
    failed: int


def go_on_everywhere() -> None:
    """Go on with every project that has items without candidates."""
    for project in Project.objects.filter(items__is_ready=False, generated__gt=0).distinct():
        go_on(project)


def go_on(project: Project) -> int:
    """Take over what was written, queue more up to `AT_ONCE`; return how many items still wait."""
    waiting = project.items.filter(is_ready=False)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # two sweepers queue nothing twice
        Candidate.objects.filter(item__in=waiting, reply=None, text="").delete()  # their replies expired
        _take_over(project)
        unfinished = Candidate.objects.filter(item__in=waiting).exclude(reply__status__in=Reply.ENDED)
        room = AT_ONCE - unfinished.count()
        bare = waiting.annotate(n=Count("candidates")).filter(n=0).order_by("created_at", "pk")
        for item in bare[: max(0, room // max(1, project.generated))]:
            _queue(project, item)
    return waiting.count()


def progress(project: Project) -> Progress:
    """Return how far the writing is. Two queries."""
    return Progress(project.items.filter(is_ready=False).count(), _failed(project).count())


def try_again(project: Project) -> None:
    """Forget the replies of items for which all failed, so that they are written anew."""
    with transaction.atomic():
        for item in _failed(project):
            _forget(item)


def _with_counts(project: Project) -> QuerySet[Any]:
    """Return the items that wait and are begun, with how many of their replies are open and have a text."""
    is_open = Q(candidates__reply__status__in=[Reply.Status.QUEUED, Reply.Status.RUNNING])
    counts = project.items.filter(is_ready=False).annotate(
        n=Count("candidates"),
        good=Count("candidates", filter=Q(candidates__reply__text__gt="")),
        unfinished=Count("candidates", filter=is_open),
    )
    return counts.filter(n__gt=0, unfinished=0)


def _failed(project: Project) -> QuerySet[Any]:
    return _with_counts(project).filter(good=0)


def _queue(project: Project, item: Item) -> None:
    *before, last = item.messages
    conversation = Conversation.objects.create(
        person=project.owner,
        kind=Conversation.Kind.API,
        personalised=False,
        for_training=False,
        expires_at=timezone.now() + KEPT_AT_MOST,
    )
    spoken = [one for one in before if one["role"] in ("user", "assistant")]
    turn = Turn.objects.create(conversation=conversation, text=last["content"], earlier=spoken, blind=False)
    instructions = "\n\n".join(one["content"] for one in before if one["role"] == "system")
    base = replace(compose(project.owner, maker=Reply.Maker.BASE), system_message=instructions)
    rng = random.Random(secrets.randbits(64))  # noqa: S311 - no secret
    for position, seed in enumerate(rng.sample(range(2**31), k=project.generated)):
        sampling = Sampling(
            temperature=project.temperature, top_p=TOP_P, max_new_tokens=settings.MAX_NEW_TOKENS, seed=seed
        )
        reply = queue(turn, position, Planned(Reply.Maker.BASE, base, sampling))
        Candidate.objects.create(item=item, position=position, reply=reply)


def _take_over(project: Project) -> None:
    """Copy what has ended; an item is ready once all its replies ended and one of them has a text."""
    for item in _with_counts(project).filter(good__gt=0)[:200]:
        candidates = list(item.candidates.select_related("reply__turn__conversation"))
        for one in candidates:
            if one.reply is None or not one.reply.text:
                one.delete()
                continue
            one.text, one.maker = one.reply.text, one.reply.model_revision or "base"
            one.composition = {
                "system_message": one.reply.system_message,
                "sampling": one.reply.sampling,
                "model_revision": one.reply.model_revision,
            }
            one.save(update_fields=["text", "maker", "composition"])
        Item.objects.filter(pk=item.pk).update(is_ready=True)
        _drop_conversations(candidates)


def _forget(item: Item) -> None:
    candidates = list(item.candidates.select_related("reply__turn__conversation"))
    item.candidates.all().delete()
    _drop_conversations(candidates)


def _drop_conversations(candidates: list[Candidate]) -> None:
    for conversation in {one.reply.turn.conversation for one in candidates if one.reply is not None}:
        delete(conversation)
