"""The replies that wait for a worker: how many there may be, whose turn it is, and how many come before one.

Knows nothing of engines or messages: the rows are the queue. People share it: whoever has the fewest answers
under way comes next, so that somebody who asks for many waits for their own and nobody else does.
"""

from __future__ import annotations

import uuid
from collections import Counter

from django.conf import settings
from django.db.models import Case, Count, Min, QuerySet, When
from django.utils.translation import gettext as _

from alignapp.chat.models import Reply
from alignapp.limits import TooMany

PERSON = "turn__conversation__person"
COME_BACK_SECONDS = 10


def check_room(person_id: object, count: int) -> None:
    """Raise TooMany when `count` more would not fit: into everybody's queue, or a person's share of it.

    A person may have as many waiting as they may ask for in a minute. Two at the same instant may both fit in
    where only one does.
    """
    waiting = _waiting()
    own = waiting.filter(**{PERSON: person_id}).count()
    if own and own + count > settings.REPLIES_PER_MINUTE:
        words = _("%(n)d of your answers are waiting already. Wait for some of them; your text is kept.")
        raise TooMany(words % {"n": own}, retry_after_seconds=COME_BACK_SECONDS)
    if waiting.count() + count > settings.MAX_WAITING_REPLIES:
        words = _("Too many people are asking at the moment. Wait %(n)d seconds, then send it again.")
        raise TooMany(words % {"n": COME_BACK_SECONDS}, retry_after_seconds=COME_BACK_SECONDS)


def next_one(named: uuid.UUID | str) -> uuid.UUID | None:
    """Return the reply to write next, for a worker that was woken for the one named; None when none waits.

    Whoever has the fewest answers under way comes first; of equals the one named, then who waits longest.
    At most four queries.
    """
    waiting = _waiting()
    first = dict(waiting.values_list(PERSON).annotate(Min("created_at")))
    if not first:
        return None
    held = Counter(
        Reply.objects.filter(status=Reply.Status.RUNNING).order_by().values_list(PERSON, flat=True)
    )
    of_named = waiting.filter(id=named).values_list(PERSON, flat=True).first()
    person = min(first, key=lambda each: (held[each], each != of_named, first[each]))
    named_first = Case(When(id=named, then=0), default=1)
    own = waiting.filter(**{PERSON: person}).order_by(named_first, "created_at", "position")
    found: uuid.UUID | None = own.values_list("id", flat=True).first()
    return found


def ahead_of(reply: Reply) -> int:
    """Return how many answers to other messages come before a waiting one, as the queue is now.

    Where two of a person's own are before it, at most three of each other person's are: they take turns.
    """
    person = reply.turn.conversation.person_id
    others = _waiting().exclude(turn=reply.turn_id)
    own = others.filter(**{PERSON: person}, created_at__lt=reply.created_at).count()
    counts = others.exclude(**{PERSON: person}).values_list(PERSON).annotate(Count("id"))
    earlier = counts.filter(created_at__lt=reply.created_at)
    return own + sum(min(n, own + 1) for _person, n in earlier)


def _waiting() -> QuerySet[Reply]:
    return Reply.objects.filter(status=Reply.Status.QUEUED).order_by()
