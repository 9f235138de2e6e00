"""Rows for tests of the console: projects with items, members who agreed, and answers of theirs."""

from __future__ import annotations

import random
from typing import Any

from alignapp.accounts.models import Person
from alignapp.annotation.models import Assignment, Membership, Project
from alignapp.annotation.services import answers, items, projects, queue
from alignapp.annotation.services.items import NewCandidate, NewItem

PICK = {"name": "pick-1-of-n", "required": True}


def project_of(person: Person, *, count: int = 1, candidates: int = 2, **fields: Any) -> Project:
    """Return a project with so many items, whose owner has agreed."""
    project = projects.create_project(person, **{"name": "Eggs", "protocols": [PICK], **fields})
    projects.agree(project.memberships.get(), may_train=True)
    items.add_items(project, [new_item(f"item {n}", candidates) for n in range(count)])
    return project


def new_item(key: str, candidates: int = 2, **fields: Any) -> NewItem:
    """Return an item to add; its candidates are made by model-m0, model-m1, and so on."""
    made = [NewCandidate(f"Answer {n} to {key}", maker=f"model-m{n}") for n in range(candidates)]
    messages = [{"role": "user", "content": f"About {key}?"}]
    return NewItem(key=key, messages=messages, candidates=made, **fields)


def member_of(project: Project, name: str, role: str = "annotator") -> Membership:
    """Return a new person's membership, who has agreed."""
    person = Person.objects.create_user(f"{name}@example.org")
    member = projects.join(projects.invite(project, role).token, person)
    projects.agree(member, may_train=False)
    return member


def claimed(member: Membership, seed: int = 0) -> Assignment:
    """Return the member's next assignment; there must be one."""
    found = queue.claim_next(member, rng=random.Random(seed))
    assert found is not None
    return found


def pick(assignment: Assignment, which: int = 0) -> dict[str, list[str]]:
    """Return a form that picks one of the answers as shown."""
    return {"pick-1-of-n": [assignment.order[which]]}


def project_with_answers(person: Person) -> Project:
    """Return a project with a row of every model of the console, all of this person's."""
    project = project_of(person)
    projects.add_guidelines(project, "# Be fair")
    projects.invite(project, "annotator", "guest@example.org")
    assignment = claimed(project.memberships.select_related("project", "person").get())
    answers.submit(assignment, pick(assignment))
    return project
