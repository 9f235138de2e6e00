"""Items and their places: what is added, how many judge it, and how a place is taken and given back."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from alignapp.annotation.models import Assignment, Candidate, Item, Project
from alignapp.tables import insert, ordered_ids

BATCH = 500
ITEM = (
    "id", "created_at", "key", "messages", "language", "source", "licence", "may_train", "purpose",
    "expected", "extra", "wanted", "taken", "is_ready",
)  # fmt: skip
CANDIDATE = ("id", "item_id", "position", "text", "maker", "provider", "composition", "extra")


@dataclass(frozen=True, slots=True)
class NewCandidate:
    """One answer to be added."""

    text: str
    maker: str = ""
    provider: str = ""
    composition: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewItem:
    """One item to be added; its `key` is unique in the project."""

    key: str
    messages: Sequence[dict[str, str]]
    candidates: Sequence[NewCandidate] = ()
    language: str = ""
    source: str = ""
    licence: str = ""
    may_train: bool = True
    purpose: str = Item.Purpose.ORDINARY
    expected: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Added:
    """How many items are new, and how many the project had before."""

    new: int
    known: int


@dataclass(frozen=True, slots=True)
class Placed:
    """An item that the project has or is about to: its id, each candidate's id, text and maker in order."""

    id: str
    candidates: Sequence[tuple[str, str, str]]


def add_items(project: Project, rows: Iterable[NewItem]) -> Added:
    """Add items in batches, each in one transaction; keys that the project has are left as they are.

    Can be stopped and begun again anywhere. Memory does not grow with the number of rows.
    """
    new = known = 0
    for batch in _batches(rows):
        unique = {row.key: row for row in batch}
        with transaction.atomic():
            there = set(project.items.filter(key__in=unique).values_list("key", flat=True))
            fresh = [row for key, row in unique.items() if key not in there]
            write_items(project, [(row, placed, 0) for row, placed in zip(fresh, places(fresh), strict=True)])
        new, known = new + len(fresh), known + len(batch) - len(fresh)
    return Added(new, known)


def _batches(rows: Iterable[NewItem]) -> Iterator[tuple[NewItem, ...]]:
    source = iter(rows)
    while batch := tuple(itertools.islice(source, BATCH)):
        yield batch


def places(rows: Iterable[NewItem]) -> Iterator[Placed]:
    """Yield where each new item goes.

    Its own id is by chance, since annotators' random items are drawn by it; and the candidates' ids, which
    annotators could see in the page, do not tell in which order the source had them.
    """
    ids, chance = ordered_ids(), secrets.SystemRandom()
    for row in rows:
        of_item = [next(ids) for _ in row.candidates]
        chance.shuffle(of_item)
        answers = zip(of_item, row.candidates, strict=True)
        yield Placed(str(uuid.uuid4()), [(one_id, one.text, one.maker) for one_id, one in answers])


def write_items(project: Project, rows: Sequence[tuple[NewItem, Placed, int]]) -> None:
    """Write new items where they go, in this order, with how many places of each are taken already."""
    now, microsecond = timezone.now(), timedelta(microseconds=1)
    items = [
        (
            placed.id, now + number * microsecond, row.key, row.messages, row.language, row.source,
            row.licence, row.may_train, row.purpose, row.expected, row.extra,
            max(wanted_for(project, row.key, row.purpose), taken), taken, bool(row.candidates),
        )
        for number, (row, placed, taken) in enumerate(rows)
    ]  # fmt: skip
    candidates = [
        (candidate_id, placed.id, position, text, maker, one.provider, one.composition, one.extra)
        for row, placed, _taken in rows
        for position, (one, (candidate_id, text, maker)) in enumerate(
            zip(row.candidates, placed.candidates, strict=True)
        )
    ]
    insert(Item, ITEM, items, project_id=project.pk)
    insert(Candidate, CANDIDATE, candidates, created_at=now)


def wanted_for(project: Project, key: str, purpose: str) -> int:
    """Return how many people judge an item: the overlap, or two for the share that is double-coded."""
    if purpose != Item.Purpose.ORDINARY:
        return 0
    digest = hashlib.sha256(f"{project.pk}:{key}".encode()).digest()
    is_double = int.from_bytes(digest[:8]) / 2**64 < project.double_share
    return max(project.overlap, 2 if is_double else 1)


def plan(project: Project) -> None:
    """Let every item be wanted by as many as the settings say, never by fewer than have it already."""
    rows = project.items.values_list("pk", "key", "purpose").order_by("pk").iterator(chunk_size=BATCH)
    by_wanted: dict[int, list[Any]] = {}
    for pk, key, purpose in rows:
        by_wanted.setdefault(wanted_for(project, key, purpose), []).append(pk)
    for wanted, pks in by_wanted.items():
        for start in range(0, len(pks), BATCH):
            batch = Item.objects.filter(pk__in=pks[start : start + BATCH])
            batch.update(wanted=Greatest(Value(wanted), F("taken")))


def take_place(item: Item) -> bool:
    """Take one of the item's places; False when all are taken.

    One conditional UPDATE, so that of many who want the last one, one gets it.
    """
    if item.purpose != Item.Purpose.ORDINARY:
        return True
    free = Item.objects.filter(pk=item.pk, taken__lt=F("wanted"))
    return bool(free.update(taken=F("taken") + 1))


def give_back(assignment: Assignment, note: str, states: Sequence[str], **still: Any) -> bool:
    """Discard an assignment that is in one of `states`, and free its place; False when it is not.

    `still` names columns that must hold as well, as in a queryset's filter.
    """
    fields: dict[str, Any] = {"state": Assignment.State.DISCARDED, **({"note": note} if note else {})}
    with transaction.atomic():
        rows = Assignment.objects.filter(pk=assignment.pk, state__in=states, **still)
        if not rows.update(**fields):
            return False
        if holds_place(assignment):
            Item.objects.filter(pk=assignment.item_id).update(taken=F("taken") - 1)
    for name, value in fields.items():
        setattr(assignment, name, value)
    return True


def holds_place(assignment: Assignment) -> bool:
    """Say whether the item's `taken` counts this assignment, while it is open or done."""
    return assignment.repeat_of_id is None and assignment.item.purpose == Item.Purpose.ORDINARY
