"""What the chat pages show, gathered in a handful of queries: the thread, its candidates, the list.

Knows nothing of requests. While a turn is blind nothing here tells who made a candidate.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from alignapp.chat.markdown import render
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.chat.services import is_stalled
from alignapp.chat.tree import Tree
from alignapp.feedback.models import Feedback
from alignapp.feedback.opinions import Acts

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from alignapp.accounts.models import Person

LIST_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of conversation, with words to begin one."""

    key: str
    label: StrOrPromise
    help: StrOrPromise
    openers: tuple[StrOrPromise, ...]


KINDS = (
    Kind(
        Conversation.Kind.UNGUIDED,
        _("Anything"),
        _("Ask or tell whatever you like."),
        (
            _("Explain how vaccines work to a curious twelve-year-old."),
            _("Help me plan a quiet weekend at home."),
            _("Write a short note thanking a colleague."),
        ),
    ),
    Kind(
        Conversation.Kind.VALUES,
        _("My values"),
        _("Talk about something that matters to you: work, family, faith, money, culture."),
        (
            _("Is it wrong to put my career before my family?"),
            _("How much should I give to charity?"),
            _("What do we owe our parents when they grow old?"),
        ),
    ),
    Kind(
        Conversation.Kind.CONTROVERSY,
        _("A disputed topic"),
        _("Talk about something that people disagree on where you live."),
        (
            _("Should voting be compulsory?"),
            _("Is it right to eat animals?"),
            _("Should rich countries take in more refugees?"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class ReplyView:
    """One candidate as it is shown."""

    reply: Reply
    number: int  # from 1, in the order shown
    html: SafeString
    is_chosen: bool
    is_stalled: bool
    score: int | None
    thumb: int | None
    place: int | None
    edit: str
    critique: str
    comparison: Reply | None
    comparison_html: SafeString


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn as it is shown; `others` are the candidates that the conversation did not go on with."""

    turn: Turn
    replies: list[ReplyView]
    branches: list[Turn]
    is_last: bool
    none_is_good: bool
    all_alike: bool
    main: list[ReplyView] = field(default_factory=list)
    others: list[ReplyView] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Say whether a candidate is still being written."""
        return any(not view.reply.has_ended for view in self.replies)

    @property
    def branch_number(self) -> int:
        """Return this branch's place among its siblings, from 1."""
        return self.branches.index(self.turn) + 1

    @property
    def previous_branch(self) -> Turn | None:
        """Return the branch before this one."""
        place = self.branches.index(self.turn)
        return self.branches[place - 1] if place else None

    @property
    def next_branch(self) -> Turn | None:
        """Return the branch after this one."""
        return next(iter(self.branches[self.branches.index(self.turn) + 1 :]), None)

    @property
    def usable(self) -> list[ReplyView]:
        """Return the candidates that can be judged."""
        return [view for view in self.replies if view.reply.has_ended and view.reply.text]

    @property
    def can_rank(self) -> bool:
        """Say whether there are enough candidates for a ranking to say more than a pick."""
        return len(self.usable) >= 3 and not self.is_open


def thread(conversation: Conversation, at: uuid.UUID | None = None) -> list[TurnView]:
    """Return the turns of one branch as they are shown; `at` names a turn on it. Raises KeyError."""
    turns = list(conversation.turns.select_related("chosen", "conversation"))
    replies: dict[uuid.UUID, list[Reply]] = defaultdict(list)
    turn_of_reply = {}
    rows = Reply.objects.filter(turn__conversation=conversation)
    for reply in rows.select_related("profile_version", "alignment_version").order_by("position"):
        replies[reply.turn_id].append(reply)
        turn_of_reply[reply.id] = reply.turn_id
    acts: dict[uuid.UUID, list[Feedback]] = defaultdict(list)
    for act in Feedback.objects.filter(turn__conversation=conversation):
        acts[act.turn_id].append(act)
    tree = Tree(turns, turn_of_reply)
    path = tree.path(at)
    return [
        _turn_view(turn, replies[turn.id], acts[turn.id], tree.siblings(turn), is_last=turn is path[-1])
        for turn in path
    ]


def turn_view(turn: Turn) -> TurnView:
    """Return one turn as it is shown at the end of its branch or above the turn that goes on from it."""
    branches = list(
        Turn.objects.filter(conversation=turn.conversation_id, parent=turn.parent_id).order_by("created_at")
    )
    replies = turn.replies.select_related("profile_version", "alignment_version").order_by("position")
    is_last = not Turn.objects.filter(parent__turn=turn).exists()
    branches = [turn if other.pk == turn.pk else other for other in branches]
    return _turn_view(turn, list(replies), list(turn.feedback.all()), branches, is_last=is_last)


def _turn_view(
    turn: Turn, replies: list[Reply], feedback: list[Feedback], branches: list[Turn], *, is_last: bool
) -> TurnView:
    acts = Acts(feedback)
    comparisons = {_sampling_key(reply): reply for reply in replies if reply.is_comparison}
    pick = acts.latest(Feedback.Kind.PICK)
    ranking = acts.latest(Feedback.Kind.RANKING)
    places = {
        reply_id: place
        for place, ids in enumerate((ranking.ranking if ranking else None) or [], start=1)
        for reply_id in ids
    }
    candidates = [reply for reply in replies if not reply.is_comparison]
    views = [
        _reply_view(turn, reply, number, acts, places, comparisons.get(_sampling_key(reply)))
        for number, reply in enumerate(candidates, start=1)
    ]
    # Further up the page only the answer that the conversation went on with stands open.
    folded = not is_last and turn.chosen_id is not None
    return TurnView(
        turn=turn,
        replies=views,
        branches=branches,
        is_last=is_last,
        none_is_good=pick is not None and pick.reply_id is None,
        all_alike=ranking is not None and len(ranking.ranking or []) == 1,
        main=[view for view in views if view.is_chosen or not folded],
        others=[view for view in views if folded and not view.is_chosen],
    )


def _sampling_key(reply: Reply) -> str:
    return repr(sorted(reply.sampling.items()))


def _reply_view(
    turn: Turn, reply: Reply, number: int, acts: Acts, places: dict[str, int], comparison: Reply | None
) -> ReplyView:
    rating = acts.latest(Feedback.Kind.RATING, reply)
    thumb = acts.latest(Feedback.Kind.THUMB, reply)
    edit = acts.latest(Feedback.Kind.EDIT, reply)
    critique = acts.latest(Feedback.Kind.CRITIQUE, reply)
    return ReplyView(
        reply=reply,
        number=number,
        html=render(reply.text),
        is_chosen=turn.chosen_id == reply.id,
        is_stalled=is_stalled(reply),
        score=rating.score if rating else None,
        thumb=thumb.thumb if thumb else None,
        place=places.get(str(reply.id)),
        edit=edit.text if edit else "",
        critique=critique.text if critique else "",
        comparison=comparison,
        comparison_html=render(comparison.text if comparison else ""),
    )


def conversations_of(person: Person, search: str = "") -> QuerySet[Conversation]:
    """Return a person's conversations, newest first; `search` looks in titles and messages."""
    found = Conversation.objects.for_person(person).filter(expires_at=None)
    if search:
        inside = Q(title__icontains=search) | Q(turns__text__icontains=search)
        found = found.filter(inside | Q(turns__replies__text__icontains=search)).distinct()
    return found[:LIST_LENGTH]
