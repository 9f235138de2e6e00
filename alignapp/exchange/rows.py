"""Records into a project's rows: items, candidates, people and what they said.

Idempotent: an item is known by its key, a judgement by item and person, so that the same file twice changes
nothing and a stopped import goes on where it was. Memory holds one batch, which is one transaction.
"""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from alignapp.accounts.models import Person
from alignapp.annotation.access import Role
from alignapp.annotation.models import Annotation, Assignment, Item, Membership, Project, Submission
from alignapp.annotation.protocols.base import DAY_MS
from alignapp.annotation.services.items import NewCandidate, NewItem, add_items
from alignapp.exchange.models import Import, ImportedPerson
from personalization.exchange.fields import scale_back
from personalization.exchange.neutral import Act, Example, Judgement
from personalization.exchange.source import LineError
from personalization.exchange.transfer import Read

BATCH = 500
NAMELESS = "somebody"  # who judged where the file does not say
SEVEN = "scale-1-7"  # the one protocol whose ratings are not kept from 1 to 100


@dataclass
class Committed:
    """What an import did so far."""

    new: int = 0  # items
    known: int = 0  # items that the project had already
    judgements: int = 0
    judgements_known: int = 0
    left_out: int = 0  # records of another kind than answers
    errors: int = 0
    first_errors: list[tuple[int, str]] = field(default_factory=list)

    def note(self, line: int, problem: str) -> None:
        """Count a bad line; the first ones are kept."""
        self.errors += 1
        if len(self.first_errors) < Import.ERRORS_KEPT:
            self.first_errors.append((line, problem))

    def counts(self) -> dict[str, int]:
        """Return the numbers by name."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


def commit(
    project: Project, found: Iterable[Read | LineError], *, report: Callable[[Committed], None] | None = None
) -> Committed:
    """Store every record that can be read; `report` is told after each batch."""
    done = Committed()
    people = _People(project)
    for batch in _batches(found):
        with transaction.atomic():
            _store(project, people, list(_examples(batch, done)), done)
        if report:
            report(done)
    return done


def _batches(found: Iterable[Read | LineError]) -> Iterator[list[Read | LineError]]:
    source = iter(found)
    while batch := list(itertools.islice(source, BATCH)):
        yield batch


def _examples(batch: Sequence[Read | LineError], done: Committed) -> Iterator[tuple[int, Example]]:
    for one in batch:
        if isinstance(one, LineError):
            done.note(one.line, one.problem)
        elif isinstance(one.record, Example):
            yield one.line, one.record
        else:
            done.left_out += 1


def _store(project: Project, people: _People, read: Sequence[tuple[int, Example]], done: Committed) -> None:
    examples = [example for _line, example in read]
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(example.key, example)  # what an item is, its first row says
    added = add_items(project, map(_item, first.values()))
    done.new += added.new
    done.known += len(examples) - added.new
    items = project.items.filter(key__in={example.key for example in examples})
    by_key = {item.key: item for item in items.prefetch_related("candidates")}
    examples = list(_fitted(read, by_key, done))
    wanted: dict[tuple[uuid.UUID, uuid.UUID], tuple[Item, Judgement]] = {}
    persons = people.of({one.person: one.may_train for example in examples for one in example.judgements})
    for example in examples:
        for one in example.judgements:
            wanted.setdefault((by_key[example.key].pk, persons[one.person]), (by_key[example.key], one))
            done.judgements_known += 1
    there = Assignment.objects.filter(item__in=by_key.values(), annotator__in=set(persons.values()))
    for pair in there.values_list("item_id", "annotator_id"):
        wanted.pop(pair, None)
    done.judgements += len(wanted)
    done.judgements_known -= len(wanted)
    _judge(wanted)


def _fitted(
    read: Sequence[tuple[int, Example]], by_key: Mapping[str, Item], done: Committed
) -> Iterator[Example]:
    """Yield examples whose judgements name the answers as their items have them; others are bad lines.

    One row may list the same answers in another order than the row before of the same item.
    """
    for line, example in read:
        texts = [one.text for one in by_key[example.key].candidates.all()]
        given = [one.text for one in example.answers]
        if given == texts:
            yield example
            continue
        left, place = list(range(len(texts))), []
        for text in given:
            at = next((i for i in left if texts[i] == text), None)
            if at is None:
                break
            left.remove(at)
            place.append(at)
        if len(place) == len(given):
            yield replace(example, judgements=tuple(_moved(one, place) for one in example.judgements))
        else:
            done.note(line, f"“{example.key[:40]}” has other answers than before; give it another id.")


def _moved(judgement: Judgement, place: Sequence[int]) -> Judgement:
    """Return a judgement with answer i called `place[i]`."""
    acts = tuple(
        replace(
            act,
            answer=None if act.answer is None else place[act.answer],
            ranking=tuple(tuple(place[i] for i in tie) for tie in act.ranking),
        )
        for act in judgement.acts
    )
    return replace(judgement, acts=acts, order=tuple(place[i] for i in judgement.order))


def _item(example: Example) -> NewItem:
    candidates = [
        NewCandidate(one.text, one.maker, one.provider, extra=dict(one.extra)) for one in example.answers
    ]
    extra = {"conversation": example.conversation, "turn": example.turn, "kept": dict(example.extra)}
    messages = [{"role": message.role, "content": message.content} for message in example.messages]
    return NewItem(
        example.key, messages, candidates, example.language, example.source, example.licence,
        example.may_train, extra=extra,
    )  # fmt: skip


def _judge(wanted: dict[tuple[uuid.UUID, uuid.UUID], tuple[Item, Judgement]]) -> None:
    assignments: list[Assignment] = []
    submissions: list[Submission] = []
    acts: list[Annotation] = []
    places: dict[uuid.UUID, int] = defaultdict(int)
    now = timezone.now()
    for (item_id, person_id), (item, judgement) in wanted.items():
        duration = judgement.duration_ms
        duration = None if duration is None else min(max(duration, 0), DAY_MS)
        ids = [str(candidate.pk) for candidate in item.candidates.all()]
        order = [ids[i] for i in judgement.order or range(len(ids)) if i < len(ids)]
        assignment = Assignment(
            item_id=item_id, annotator_id=person_id, state=Assignment.State.SUBMITTED, order=order,
            strategy="import", lease_until=now, submitted_at=_moment(judgement.at) or now,
            active_ms=duration or 0,
        )  # fmt: skip
        makers = {str(candidate.pk): candidate.maker for candidate in item.candidates.all()}
        shown = [{"candidate": one, "maker": makers[one]} for one in order]
        submission = Submission(assignment=assignment, number=1, duration_ms=duration, shown=shown)
        assignments.append(assignment)
        submissions.append(submission)
        acts += _acts(submission, ids, judgement.acts)
        places[item_id] += 1
    Assignment.objects.bulk_create(assignments)
    Submission.objects.bulk_create(submissions)
    Annotation.objects.bulk_create(acts)
    by_count: dict[int, list[uuid.UUID]] = defaultdict(list)
    for item_id, count in places.items():
        by_count[count].append(item_id)
    for count, item_ids in by_count.items():
        taken = F("taken") + count
        Item.objects.filter(pk__in=item_ids).update(taken=taken, wanted=Greatest(F("wanted"), taken))


def _acts(submission: Submission, ids: Sequence[str], acts: Sequence[Act]) -> Iterator[Annotation]:
    """Yield the rows of a judgement; of two that say the same of the same, the first counts."""
    said = set()
    for act in acts:
        protocol = act.protocol or act.kind
        about = ids[act.answer] if act.answer is not None else None
        if (place := (protocol, about, act.attribute if about else "")) in said:
            continue
        said.add(place)
        score = act.score
        if score is not None and protocol == SEVEN:
            score = scale_back(score, 1, 7)
        yield Annotation(
            submission=submission, kind=act.kind, protocol=protocol[:40], candidate_id=about,
            attribute=act.attribute[:40], score=None if score is None else round(score),
            thumb=None if act.liked is None else 1 if act.liked else -1,
            ranking=[[ids[i] for i in tie] for tie in act.ranking] or None,
            text=act.text, spans=[asdict(span) for span in act.spans] or None,
        )  # fmt: skip


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text) if text else None
    except ValueError:
        return None
    return timezone.make_aware(found) if found and timezone.is_naive(found) else found


class _People:
    """The accounts that stand for a project's imported people, made when they are met."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def of(self, agreed: dict[str, bool]) -> dict[str, uuid.UUID]:
        """Return the accounts of these names; of a new one, whether they agreed to training is kept."""
        names = {name: (name or NAMELESS)[:200] for name in agreed}
        known = self._known(names.values())
        new = {name: agreed[given] for given, name in names.items() if name not in known}
        people = {name: Person(email=f"{uuid.uuid4()}@imported.invalid", is_active=False) for name in new}
        for person in people.values():
            person.set_unusable_password()
        Person.objects.bulk_create(people.values())
        ImportedPerson.objects.bulk_create(
            ImportedPerson(project=self._project, name=name, person=person) for name, person in people.items()
        )
        Membership.objects.bulk_create(
            Membership(project=self._project, person=people[name], role=Role.ANNOTATOR, may_train=may)
            for name, may in new.items()
        )
        known |= {name: person.pk for name, person in people.items()}
        return {given: known[name] for given, name in names.items()}

    def _known(self, names: Iterable[str]) -> dict[str, uuid.UUID]:
        rows = ImportedPerson.objects.filter(project=self._project, name__in=set(names))
        return dict(rows.values_list("name", "person_id"))
