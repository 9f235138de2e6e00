"""Many rows at once: what is written is what a save would write, and what a save refuses is refused."""

from __future__ import annotations

import uuid
from itertools import islice

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from alignapp.annotation.models import Candidate, Item
from alignapp.annotation.services.projects import create_project
from alignapp.tables import insert, ordered_ids

ITEM = ("id", "key", "messages", "extra")


@pytest.fixture
def project(owner):
    return create_project(owner, name="Eggs")


def write(project, *rows, **same) -> None:
    insert(Item, ITEM, rows, project_id=project.pk, created_at=timezone.now(), **same)


def test_ids_grow_and_are_version_7():
    ids = list(islice(ordered_ids(), 10_000))
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert all(str(uuid.UUID(one)) == one for one in ids[:50])


@pytest.mark.django_db
def test_a_row_reads_like_one_that_was_saved(project):
    item_id = uuid.uuid4()
    text = 'tab\t, line\n, back\\slash, \\N, quote", ü 🙂'
    write(project, (str(item_id), text, [{"role": "user", "content": text}], {}), wanted=3, is_ready=False)
    item = Item.objects.get()
    saved = Item(
        id=item_id, project=project, key=text, messages=[{"role": "user", "content": text}], wanted=3,
        is_ready=False, created_at=item.created_at,
    )  # fmt: skip
    columns = [field.attname for field in Item._meta.concrete_fields]
    assert {one: getattr(item, one) for one in columns} == {one: getattr(saved, one) for one in columns}
    candidate_id = next(ordered_ids())
    columns = ("id", "item_id", "position", "text")
    insert(Candidate, columns, [(candidate_id, item_id, 0, text)], created_at=timezone.now())
    found = item.candidates.get()
    assert (str(found.pk), found.text, found.reply) == (candidate_id, text, None)


@pytest.mark.django_db
def test_constraints_hold_and_nothing_of_a_refused_batch_stays(project):
    one, two = islice(ordered_ids(), 2)
    for rows in [[(one, "a", [], {}), (two, "a", [], {})], [(one, "a", [], {}), (one, "b", [], {})]]:
        with pytest.raises(IntegrityError), transaction.atomic():
            write(project, *rows)
    with pytest.raises(IntegrityError), transaction.atomic():
        write(project, (one, "a", [], {}), taken=2)
    assert not Item.objects.exists()
    write(project)  # nothing is nothing


@pytest.mark.django_db
def test_a_column_that_is_not_there_is_refused(project):
    with pytest.raises(TypeError, match="colour"):
        write(project, colour="red")
