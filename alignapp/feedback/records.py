"""Turn one person's rows into `personalization.records`: the only place where that happens.

Knows nothing of methods. The latest act of a kind counts; where rating, pick and ranking disagree
the latest act decides and the pair is counted as a contradiction. Only complete answers of
conversations that may be learned from are used, never comparisons with the base model.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alignapp.chat.models import Reply, Turn
from alignapp.chat.paths import Paths
from alignapp.feedback.models import Feedback
from alignapp.feedback.opinions import Acts, Answer, Said
from personalization.records import Critique, Edit, Message, Pair, RatedGroup, Records, Thumb

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


def records_for(person: Person) -> Records:
    """Return everything that this person showed and that may be learned from, in a fixed order.

    Three queries, whatever the number of turns.
    """
    turns = Turn.objects.for_person(person).filter(conversation__for_training=True)
    paths = Paths(turns.select_related("parent"))
    acts: dict[uuid.UUID, list[Feedback]] = defaultdict(list)
    conversations: dict[uuid.UUID, str] = {}
    rows = Feedback.objects.for_person(person).filter(turn__conversation__for_training=True)
    rows = rows.exclude(kind=Feedback.Kind.REPEAT)  # they measure the person, and a proof may rest on them
    for act in rows.select_related("turn").order_by("created_at", "id"):
        acts[act.turn_id].append(act)
        conversations[act.turn_id] = str(act.turn.conversation_id)
    answers: dict[uuid.UUID, list[Reply]] = defaultdict(list)
    complete = Reply.objects.for_person(person).filter(status=Reply.Status.DONE, is_comparison=False)
    for reply in complete.filter(turn__feedback__isnull=False).distinct().order_by("turn_id", "position"):
        if reply.text.strip():
            answers[reply.turn_id].append(reply)
    collected = Collected()
    for turn_id, of_turn in acts.items():  # in the order of their first acts
        collected.add(conversations[turn_id], paths.to(turn_id), answers[turn_id], Acts(of_turn))
    return collected.records()


class Collected:
    """The records of what one person said, of the turns (or a project's items) added so far."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.thumbs: list[Thumb] = []
        self.groups: list[RatedGroup] = []
        self.edits: list[Edit] = []
        self.critiques: list[Critique] = []
        self.follow_ups: list[Critique] = []
        self.ties = 0
        self.contradictions = 0

    def add(
        self, conversation: str, prompt: tuple[Message, ...], answers: Sequence[Answer], acts: Acts[Said]
    ) -> None:
        """Add what was said about one turn."""
        self._compare(conversation, prompt, answers, acts)
        self._group(conversation, prompt, answers, acts)
        for reply in answers:
            self._judge(conversation, prompt, reply, acts)

    def _compare(
        self, conversation: str, prompt: tuple[Message, ...], answers: Sequence[Answer], acts: Acts[Said]
    ) -> None:
        for verdict in acts.verdicts(answers):
            opinion = verdict.opinion
            self.contradictions += verdict.contradicted
            if opinion.preferred == 0:
                self.ties += 1
                continue
            first, second = verdict.first.text, verdict.second.text
            chosen, rejected = (first, second) if opinion.preferred > 0 else (second, first)
            if chosen != rejected:  # two samplings may say the same: nothing to prefer
                self.pairs.append(
                    Pair(
                        conversation,
                        opinion.sources,
                        prompt,
                        chosen,
                        rejected,
                        opinion.margin,
                        opinion.protocol,
                    )
                )

    def _group(
        self, conversation: str, prompt: tuple[Message, ...], answers: Sequence[Answer], acts: Acts[Said]
    ) -> None:
        latest = [(reply, acts.latest(Feedback.Kind.RATING, reply)) for reply in answers]
        rated = [(reply, act) for reply, act in latest if act is not None]
        if len(rated) >= 2:
            sources = tuple(str(act.id) for _, act in rated)
            texts = tuple(reply.text for reply, _ in rated)
            scores = tuple(float(act.score or 0) for _, act in rated)
            self.groups.append(RatedGroup(conversation, sources, prompt, texts, scores))

    def _judge(self, conversation: str, prompt: tuple[Message, ...], reply: Answer, acts: Acts[Said]) -> None:
        if thumb := acts.latest(Feedback.Kind.THUMB, reply):
            self.thumbs.append(Thumb(conversation, (str(thumb.id),), prompt, reply.text, thumb.thumb == 1))
        edit = acts.latest(Feedback.Kind.EDIT, reply)
        if edit and edit.text != reply.text.strip():
            source = (str(edit.id),)
            self.edits.append(Edit(conversation, source, prompt, reply.text, edit.text))
            self.pairs.append(Pair(conversation, source, prompt, edit.text, reply.text, 1.0, edit.protocol))
        for kind, found in (
            (Feedback.Kind.CRITIQUE, self.critiques),
            (Feedback.Kind.FOLLOW_UP, self.follow_ups),
        ):
            if act := acts.latest(kind, reply):
                found.append(Critique(conversation, (str(act.id),), prompt, reply.text, act.text))

    def records(self) -> Records:
        """Return everything added."""
        return Records(
            pairs=tuple(self.pairs),
            thumbs=tuple(self.thumbs),
            groups=tuple(self.groups),
            edits=tuple(self.edits),
            critiques=tuple(self.critiques),
            follow_ups=tuple(self.follow_ups),
            ties=self.ties,
            contradictions=self.contradictions,
        )
