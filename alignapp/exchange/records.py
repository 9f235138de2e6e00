"""Rows into records: of a project, and of one person's own chat. Streams, with one chunk of rows in memory.

People appear by a name that means nothing outside of the project; nobody's address leaves.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from django.db.models import Prefetch

from alignapp.accounts.consent import has_consent
from alignapp.annotation.access import pseudonym
from alignapp.annotation.models import Annotation, Assignment, Item, Project, Submission
from alignapp.chat.models import Reply, Turn
from alignapp.chat.paths import Paths
from alignapp.exchange.models import ImportedPerson
from alignapp.exchange.rows import NAMELESS, SEVEN
from alignapp.feedback.models import Act as ActRow
from alignapp.feedback.models import Feedback
from alignapp.feedback.opinions import Acts
from alignapp.profiles.models import InventoryAnswer
from alignapp.profiles.services import current_profile
from personalization.exchange.fields import rescale
from personalization.exchange.neutral import Act, Answer, Example, Judgement, Participant, Span
from personalization.records import Message

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

CHUNK = 500


def of_project(project: Project) -> Iterator[Example]:
    """Yield a project's items as they came in, with the judgements that count.

    Attention checks and hidden repeats are left out. A person's judgements may be trained on while their
    membership says so.
    """
    given = Assignment.objects.filter(state=Assignment.State.SUBMITTED, repeat_of=None)
    current = Submission.objects.current().prefetch_related("annotations")
    rows = (
        Item.objects.filter(project=project)
        .exclude(purpose=Item.Purpose.ATTENTION)
        .order_by("created_at", "id")
        .prefetch_related(
            "candidates",
            Prefetch("assignments", given.order_by("created_at", "id")),
            Prefetch("assignments__submissions", current),
        )
    )
    imported = ImportedPerson.objects.filter(project=project)
    named = imported.values_list("person_id", "name")
    names = {person_id: "" if name == NAMELESS else name for person_id, name in named}
    agreed = dict(project.memberships.values_list("person_id", "may_train"))
    for item in rows.iterator(chunk_size=CHUNK):
        yield _example(item, names, agreed)


def _example(item: Item, names: Mapping[uuid.UUID, str], agreed: Mapping[uuid.UUID, bool]) -> Example:
    candidates = list(item.candidates.all())
    place = {str(candidate.pk): i for i, candidate in enumerate(candidates)}
    judgements = []
    for assignment in item.assignments.all():
        who = assignment.annotator_id
        for submission in assignment.submissions.all():
            acts = tuple(_act(row, row.candidate_id, place) for row in submission.annotations.all())
            order = tuple(place[one] for one in assignment.order if one in place)
            at = assignment.submitted_at.isoformat() if assignment.submitted_at else ""
            name = names[who] if who in names else pseudonym(item.project_id, who)
            judgements.append(
                Judgement(name, acts, order, submission.duration_ms, at, agreed.get(who, False))
            )
    return Example(
        item.key,
        tuple(Message(one["role"], one["content"]) for one in item.messages),
        tuple(Answer(one.text, one.maker, one.provider, one.extra) for one in candidates),
        tuple(judgements),
        item.extra.get("conversation", ""), item.extra.get("turn", 0), item.language, item.source,
        item.licence, item.may_train, item.extra.get("kept", {}),
    )  # fmt: skip


def _act(row: ActRow, about: uuid.UUID | None, place: Mapping[str, int]) -> Act:
    score = None if row.score is None else float(row.score)
    if score is not None and row.protocol == SEVEN:
        score = rescale(score, 1, 7)
    ranking = [tuple(place[one] for one in tie if one in place) for tie in row.ranking or []]
    spans = (row.spans or []) if isinstance(row, Annotation) else []
    return Act(
        row.kind,  # type: ignore[arg-type] # the database holds no other kind
        None if about is None else place[str(about)],
        row.protocol,
        row.attribute if isinstance(row, Annotation) else "",
        score,
        None if row.thumb is None else row.thumb > 0,
        tuple(filter(None, ranking)),
        row.text,
        tuple(Span(**span) for span in spans),
    )


def of_person(person: Person) -> Iterator[Example | Participant]:
    """Yield what one person stated, then what they showed in the chat, turn by turn; the latest act counts.

    Comparisons with the base model and blind repeats are left out: proofs rest on them.
    """
    consents = has_consent(person)
    version = current_profile(person)
    survey, items = version.survey if version else {}, InventoryAnswer.of(person)
    if survey or items:
        yield Participant(person.pseudonym, survey, items, may_train=consents)
    turns = Turn.objects.for_person(person).select_related("parent", "conversation")
    paths = Paths(turns)
    acts = Feedback.objects.for_person(person).exclude(kind__in=("repeat", "follow_up"))
    complete = Reply.objects.filter(status=Reply.Status.DONE, is_comparison=False).order_by("position")
    ordered = acts.select_related("turn__conversation").order_by(
        "turn__created_at", "turn_id", "created_at", "id"
    )
    for turn, of_turn in groupby(ordered.iterator(chunk_size=CHUNK), key=lambda act: act.turn):
        replies = [reply for reply in complete.filter(turn=turn) if reply.text.strip()]
        said = tuple(_latest(replies, list(of_turn)))
        if said:
            judgement = Judgement(person.pseudonym, said, may_train=consents)
            yield Example(
                str(turn.pk), paths.to(turn.pk), tuple(Answer(one.text) for one in replies), (judgement,),
                str(turn.conversation_id), source="alignapp", may_train=turn.conversation.for_training,
            )  # fmt: skip


def _latest(replies: Sequence[Reply], acts: Sequence[Feedback]) -> Iterator[Act]:
    place = {str(reply.pk): i for i, reply in enumerate(replies)}
    found = Acts(acts)
    kinds = Feedback.Kind
    rows = [found.latest(kinds.PICK), found.latest(kinds.RANKING)]
    rows += [
        found.latest(kind, reply)
        for reply in replies
        for kind in (kinds.RATING, kinds.THUMB, kinds.EDIT, kinds.CRITIQUE)
    ]
    for row in rows:
        if row is None or (row.reply_id and str(row.reply_id) not in place):
            continue
        act = _act(row, row.reply_id, place)
        if act.kind != "ranking" or act.ranking:
            yield act
