"""Candidates that are written for items that came without: queued as any other reply.

`go_on` is called again and again, by the sweeper, until nothing is left: it takes over what was written
and queues more, so it goes on after any restart and with every page closed. Each item's replies lie in
conversations of those whose models write (the owner's for the base model), which no list shows and which go
once their text is taken over.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from alignapp.annotation.models import Candidate, Item, Project
from alignapp.annotation.services import writers
from alignapp.chat.candidates import BEST_OF
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
        everybody = writers.of_project(project)
        for item in bare[: max(0, room // max(1, project.generated))]:
            _queue(project, item, everybody)
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


def _queue(project: Project, item: Item, everybody: Sequence[writers.Writer]) -> None:
    *before, last = item.messages
    spoken = [one for one in before if one["role"] in ("user", "assistant")]
    told = "\n\n".join(one["content"] for one in before if one["role"] == "system")
    rng = random.Random(secrets.randbits(64))  # noqa: S311 - no secret
    turns: dict[str, Turn] = {}
    for position, seed in enumerate(rng.sample(range(2**31 - BEST_OF), k=project.generated)):
        writer = everybody[position % len(everybody)]
        if writer.key not in turns:
            conversation = Conversation.objects.create(
                person=writer.person(project),
                kind=Conversation.Kind.API,
                personalised=False,
                for_training=False,
                expires_at=timezone.now() + KEPT_AT_MOST,
            )
            turns[writer.key] = Turn.objects.create(
                conversation=conversation, text=last["content"], earlier=spoken, blind=False
            )
        sampling = Sampling(
            temperature=project.temperature, top_p=TOP_P, max_new_tokens=settings.MAX_NEW_TOKENS, seed=seed
        )
        shape = writer.shape(project)
        message = "\n\n".join(filter(None, (told, shape.system_message)))
        reply = queue(
            turns[writer.key],
            position,
            Planned(
                writer.maker,
                replace(shape, system_message=message),
                sampling,
                writer.attempts,
                writer.reward,
            ),
        )
        Candidate.objects.create(item=item, position=position, reply=reply, provider=writer.key)


def _take_over(project: Project) -> None:
    """Copy what has ended; an item is ready once all its replies ended and one of them has a text."""
    by_key = {one.key: one for one in writers.offered(project)}
    for item in _with_counts(project).filter(good__gt=0)[:200]:
        candidates = list(item.candidates.select_related("reply__turn__conversation"))
        for one in candidates:
            if one.reply is None or not one.reply.text:
                one.delete()
                continue
            writer = by_key.get(one.provider or writers.BASE)
            if writer is None:  # taken back meanwhile
                one.delete()
                continue
            one.text, one.maker, one.provider = one.reply.text, writer.name(one.reply), ""
            one.composition = {
                "sampling": one.reply.sampling, "model_revision": one.reply.model_revision,
                **({"decoding": one.reply.decoding} if one.reply.decoding else {}),
            }  # fmt: skip
            if writer.member is None:  # of others, what they state of themselves stays theirs
                one.composition["system_message"] = one.reply.system_message
            one.save(update_fields=["text", "maker", "provider", "composition"])
        # Where every writer took theirs back, it is written anew.
        Item.objects.filter(pk=item.pk).update(is_ready=item.candidates.exists())
        _drop_conversations(candidates)


def _forget(item: Item) -> None:
    candidates = list(item.candidates.select_related("reply__turn__conversation"))
    item.candidates.all().delete()
    _drop_conversations(candidates)


def _drop_conversations(candidates: list[Candidate]) -> None:
    for conversation in {one.reply.turn.conversation for one in candidates if one.reply is not None}:
        delete(conversation)
