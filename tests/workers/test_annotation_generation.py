"""Candidates that a real worker writes for items without any, on a tiny model; it goes on where it was."""

from __future__ import annotations

import pytest

from alignapp.accounts.models import Person
from alignapp.annotation.models import Candidate
from alignapp.annotation.services import generation, items
from alignapp.annotation.services.projects import agree, create_project
from alignapp.chat.models import Conversation, Reply
from tests.web.annotated import new_item
from tests.workers.conftest import wait_until


def test_items_without_answers_get_them_from_the_engine(workers, monkeypatch):
    monkeypatch.setattr(generation, "AT_ONCE", 4)  # two items at a time: the rest comes at later calls
    workers.environment["ALIGN_MAX_NEW_TOKENS"] = "8"
    owner = Person.objects.create_user("writer@example.org")
    project = create_project(owner, name="Written", generated=2, temperature=0.7)
    member = project.memberships.get()
    agree(member, may_train=False, lends=True)
    project.writers = ["base", f"system_message:{member.pk}"]
    project.save()
    items.add_items(project, [new_item(f"bare {n}", 0) for n in range(5)])
    assert generation.go_on(project) == 5
    assert Reply.objects.count() == 4
    workers.start("generation")
    wait_until(lambda: generation.go_on(project) == 0)
    assert project.items.filter(is_ready=True).count() == 5
    made = Candidate.objects.filter(item__project=project)
    assert made.exclude(text="").count() == made.count() >= 5
    assert {one.composition["sampling"]["temperature"] for one in made} == {0.7}
    assert sum(one.maker.startswith("system_message of p-") for one in made) >= 1
    assert not Conversation.objects.exists()


@pytest.mark.django_db
def test_items_whose_replies_all_failed_are_named_and_begun_anew():
    owner = Person.objects.create_user("writer@example.org")
    project = create_project(owner, name="Written", generated=2)
    items.add_items(project, [new_item("bare", 0)])
    generation.go_on(project)
    Reply.objects.update(status=Reply.Status.FAILED)
    assert generation.go_on(project) == 1
    assert generation.progress(project) == generation.Progress(waiting=1, failed=1)
    generation.try_again(project)
    assert Candidate.objects.count() == 0
    generation.go_on(project)
    assert Candidate.objects.filter(reply__status="queued").count() == 2
