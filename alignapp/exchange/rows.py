"""Records into a project's rows: items, candidates, people and what they said.

Idempotent: an item is known by its key, a judgement by item and person, so that the same file twice changes
nothing and a stopped import goes on where it was. Memory holds one batch, which is one transaction.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from alignapp.accounts.models import Person
from alignapp.annotation.access import Role
from alignapp.annotation.models import (
    Annotation,
    Assignment,
    Candidate,
    Item,
    Membership,
    Project,
    Submission,
)
from alignapp.annotation.protocols.base import DAY_MS
from alignapp.annotation.services.items import NewCandidate, NewItem, Placed, places, write_items
from alignapp.exchange.models import Import, ImportedPerson
from alignapp.tables import insert, ordered_ids, tell_sizes
from personalization.exchange.fields import scale_back
from personalization.exchange.neutral import Act, Example, Judgement
from personalization.exchange.source import LineError
from personalization.exchange.transfer import Read

BATCH = 500
MANY = 10_000  # new rows, of which a database that plans by statistics should know at once
NAMELESS = "somebody"  # who judged where the file does not say
SEVEN = "scale-1-7"  # the one protocol whose ratings are not kept from 1 to 100
ACT = ("kind", "protocol", "candidate_id", "attribute", "score", "thumb", "ranking", "text", "spans")


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
    if done.new + done.judgements >= MANY:
        tell_sizes(Item, Candidate, Assignment, Submission, Annotation)
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
    first: dict[str, Example] = {}
    for _line, example in read:
        first.setdefault(example.key, example)  # what an item is, its first row says
    by_key = _known(project, first)
    new = {key: _item(project, example) for key, example in first.items() if key not in by_key}
    known = {one.id for one in by_key.values()}
    by_key |= zip(new, places(new.values()), strict=True)
    done.new += len(new)
    done.known += len(read) - len(new)
    examples = list(_fitted(read, by_key, done))
    persons = people.of({one.person: one.may_train for example in examples for one in example.judgements})
    wanted: dict[tuple[str, str], tuple[Placed, Judgement]] = {}
    for example in examples:
        item = by_key[example.key]
        for one in example.judgements:
            wanted.setdefault((item.id, persons[one.person]), (item, one))
            done.judgements_known += 1
    for pair in _judged(known, persons.values()):
        wanted.pop(pair, None)
    done.judgements += len(wanted)
    done.judgements_known -= len(wanted)
    taken = Counter(item_id for item_id, _person_id in wanted)
    write_items(project, [(item, by_key[key], taken[by_key[key].id]) for key, item in new.items()])
    _judge(wanted)
    _take({item_id: count for item_id, count in taken.items() if item_id in known})


def _known(project: Project, keys: Collection[str]) -> dict[str, Placed]:
    """Return those of the items that the project has, by key."""
    there = dict(project.items.filter(key__in=keys).values_list("pk", "key"))
    answers: dict[uuid.UUID, list[tuple[str, str, str]]] = {item_id: [] for item_id in there}
    found = Candidate.objects.filter(item__in=there).order_by(
        "position"
    )  # asks nothing when nothing is there
    for item_id, candidate_id, text, maker in found.values_list("item_id", "pk", "text", "maker"):
        answers[item_id].append((str(candidate_id), text, maker))
    return {key: Placed(str(item_id), answers[item_id]) for item_id, key in there.items()}


def _judged(items: Collection[str], people: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield which of these people judge which of these items already."""
    if items:
        there = Assignment.objects.filter(item_id__in=items, annotator_id__in=set(people))
        for item_id, person_id in there.values_list("item_id", "annotator_id"):
            yield str(item_id), str(person_id)


def _fitted(
    read: Sequence[tuple[int, Example]], by_key: Mapping[str, Placed], done: Committed
) -> Iterator[Example]:
    """Yield examples whose judgements name the answers as their items have them; others are bad lines.

    One row may list the same answers in another order than the row before of the same item.
    """
    for line, example in read:
        texts = [text for _id, text, _maker in by_key[example.key].candidates]
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


def _item(project: Project, example: Example) -> NewItem:
    candidates = [
        NewCandidate(one.text, one.maker, one.provider, extra=dict(one.extra)) for one in example.answers
    ]
    extra = {"conversation": example.conversation, "turn": example.turn, "kept": dict(example.extra)}
    messages = [{"role": message.role, "content": message.content} for message in example.messages]
    return NewItem(
        example.key, messages, candidates, example.language or project.only_language, example.source,
        example.licence, example.may_train, extra=extra,
    )  # fmt: skip


def _judge(wanted: Mapping[tuple[str, str], tuple[Placed, Judgement]]) -> None:
    now, ids = timezone.now(), ordered_ids()
    assignments: list[Sequence[Any]] = []
    submissions: list[Sequence[Any]] = []
    acts: list[Sequence[Any]] = []
    for (item_id, person_id), (item, judgement) in wanted.items():
        assignment_id, submission_id = next(ids), next(ids)
        duration = judgement.duration_ms
        duration = None if duration is None else min(max(duration, 0), DAY_MS)
        count = len(item.candidates)
        shown = [item.candidates[i] for i in judgement.order or range(count) if i < count]
        order = [candidate_id for candidate_id, _text, _maker in shown]
        # Where the file does not say how they stood, the row does not either: no side was preferred.
        known = shown if judgement.order else []
        makers = [{"candidate": candidate_id, "maker": maker} for candidate_id, _text, maker in known]
        at = _moment(judgement.at) or now
        assignments.append((assignment_id, item_id, person_id, order, at, duration or 0))
        submissions.append((submission_id, assignment_id, duration, makers))
        answers = [candidate_id for candidate_id, _text, _maker in item.candidates]
        acts += [(next(ids), submission_id, *act) for act in _acts(answers, judgement.acts)]
    insert(
        Assignment, ("id", "item_id", "annotator_id", "order", "submitted_at", "active_ms"), assignments,
        created_at=now, lease_until=now, state=Assignment.State.SUBMITTED, strategy="import",
    )  # fmt: skip
    insert(Submission, ("id", "assignment_id", "duration_ms", "shown"), submissions, created_at=now, number=1)
    insert(Annotation, ("id", "submission_id", *ACT), acts, created_at=now)


def _take(places_of: Mapping[str, int]) -> None:
    """Count the places that were taken of items that were there before."""
    by_count: dict[int, list[str]] = defaultdict(list)
    for item_id, count in places_of.items():
        by_count[count].append(item_id)
    for count, item_ids in by_count.items():
        taken = F("taken") + count
        Item.objects.filter(pk__in=item_ids).update(taken=taken, wanted=Greatest(F("wanted"), taken))


def _acts(ids: Sequence[str], acts: Sequence[Act]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a judgement, by `ACT`; of two that say the same of the same, the first counts."""
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
        yield (
            act.kind, protocol[:40], about, act.attribute[:40], None if score is None else round(score),
            None if act.liked is None else 1 if act.liked else -1,
            [[ids[i] for i in tie] for tie in act.ranking] or None,
            act.text, [asdict(span) for span in act.spans] or None,
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

    def of(self, agreed: dict[str, bool]) -> dict[str, str]:
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
        known |= {name: str(person.pk) for name, person in people.items()}
        return {given: known[name] for given, name in names.items()}

    def _known(self, names: Iterable[str]) -> dict[str, str]:
        rows = ImportedPerson.objects.filter(project=self._project, name__in=set(names))
        return {name: str(person_id) for name, person_id in rows.values_list("name", "person_id")}
