"""Rows into records: of a project, and of one person's own chat. Streams, with one chunk of rows in memory.

People appear by a name that means nothing outside of the project; nobody's address leaves.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from alignapp.accounts.consent import has_consent
from alignapp.annotation.access import pseudonym
from alignapp.annotation.models import Annotation, Assignment, Candidate, Item, Project, Submission
from alignapp.chat.models import Reply, Turn
from alignapp.chat.paths import Paths
from alignapp.exchange.models import ImportedPerson
from alignapp.exchange.rows import NAMELESS, SEVEN
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
ITEM = ("pk", "key", "messages", "language", "source", "licence", "may_train", "extra")
ASSIGNMENT = ("item_id", "pk", "annotator_id", "submitted_at", "state", "repeat_of_id")
SUBMISSION = ("assignment_id", "pk", "duration_ms", "shown")
ACT = (
    "submission_id", "candidate_id", "kind", "protocol", "attribute", "score", "thumb", "ranking", "text",
    "spans",
)  # fmt: skip


def of_project(project: Project) -> Iterator[Example]:
    """Yield a project's items as they came in, with the judgements that count.

    Attention checks and hidden repeats are left out. A person's judgements may be trained on while their
    membership says so. Five queries for each chunk of items, and no instances: there may be a million.
    """
    items = Item.objects.filter(project=project).exclude(purpose=Item.Purpose.ATTENTION)
    rows = items.order_by("created_at", "id").values_list(*ITEM, named=True)
    imported = ImportedPerson.objects.filter(project=project)
    named = imported.values_list("person_id", "name")
    names = {person_id: "" if name == NAMELESS else name for person_id, name in named}
    agreed = dict(project.memberships.values_list("person_id", "may_train"))
    people = _People(project.pk, names, agreed)
    source = rows.iterator(chunk_size=CHUNK)
    while chunk := list(islice(source, CHUNK)):
        yield from _examples(chunk, people)


class _People:
    """Under which name a project's annotators leave, and whether their judgements may be trained on."""

    def __init__(
        self, project_id: uuid.UUID, names: Mapping[uuid.UUID, str], agreed: Mapping[uuid.UUID, bool]
    ) -> None:
        self._project_id, self._names, self._agreed = project_id, dict(names), agreed

    def name(self, person_id: uuid.UUID) -> str:
        """Return the name that a file gave, or one that means nothing elsewhere."""
        if person_id not in self._names:
            self._names[person_id] = pseudonym(self._project_id, person_id)
        return self._names[person_id]

    def may_train(self, person_id: uuid.UUID) -> bool:
        """Return whether this person agreed; who left the project did not."""
        return self._agreed.get(person_id, False)


def _examples(items: Sequence[Any], people: _People) -> Iterator[Example]:
    """Yield the examples of one chunk of items.

    Their rows are asked for by ids alone, which an index finds whatever a database knows of its tables (after
    a large import that may be nothing yet); what does not count is left out here.
    """
    ids = [item.pk for item in items]
    candidates = Candidate.objects.filter(item__in=ids).order_by("position")
    answers = _by(candidates.values_list("item_id", "pk", "text", "maker", "provider", "extra", named=True))
    given = Assignment.objects.filter(item__in=ids).order_by("created_at", "id")
    judged = _by(
        one
        for one in given.values_list(*ASSIGNMENT, named=True)
        if one.state == Assignment.State.SUBMITTED and one.repeat_of_id is None
    )
    current = Submission.objects.current()
    current = current.filter(assignment__in=[one.pk for of_item in judged.values() for one in of_item])
    submissions = {one.assignment_id: one for one in current.values_list(*SUBMISSION, named=True)}
    said = Annotation.objects.filter(submission__in=[one.pk for one in submissions.values()])
    acts = _by(said.order_by("created_at", "id").values_list(*ACT, named=True))
    for item in items:
        of_item = answers[item.pk]
        place = {str(answer.pk): i for i, answer in enumerate(of_item)}
        pairs = ((one, submissions[one.pk]) for one in judged[item.pk] if one.pk in submissions)
        yield Example(
            item.key,
            tuple(Message(one["role"], one["content"]) for one in item.messages),
            tuple(Answer(one.text, one.maker, one.provider, one.extra) for one in of_item),
            tuple(_judgement(*pair, acts[pair[1].pk], place, people) for pair in pairs),
            item.extra.get("conversation", ""), item.extra.get("turn", 0), item.language, item.source,
            item.licence, item.may_train, item.extra.get("kept", {}),
        )  # fmt: skip


def _by(rows: Iterable[Any]) -> dict[uuid.UUID, list[Any]]:
    """Return rows by their first column, in the order in which they come."""
    found: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


def _judgement(
    assignment: Any, submission: Any, acts: Sequence[Any], place: Mapping[str, int], people: _People
) -> Judgement:
    who, at = assignment.annotator_id, assignment.submitted_at
    return Judgement(
        people.name(who),
        tuple(_act(act, act.candidate_id, place) for act in acts),
        tuple(place[one["candidate"]] for one in submission.shown if one["candidate"] in place),
        submission.duration_ms,
        at.isoformat() if at else "",
        people.may_train(who),
    )


def _act(row: Any, about: uuid.UUID | None, place: Mapping[str, int]) -> Act:
    """Return what a row says; it has the columns of an act, a project's also attribute and spans."""
    score = None if row.score is None else float(row.score)
    if score is not None and row.protocol == SEVEN:
        score = rescale(score, 1, 7)
    ranking = [tuple(place[one] for one in tie if one in place) for tie in row.ranking or []]
    return Act(
        row.kind,
        None if about is None else place[str(about)],
        row.protocol,
        getattr(row, "attribute", ""),
        score,
        None if row.thumb is None else row.thumb > 0,
        tuple(filter(None, ranking)),
        row.text,
        tuple(Span(**span) for span in getattr(row, "spans", None) or []),
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
