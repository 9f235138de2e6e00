"""Rows for tests of studies: a project whose annotators picked and rated, by a taste of their own."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.annotation.access import Role
from alignapp.annotation.models import Assignment, Item, Membership, Project
from alignapp.annotation.services import answers, items, projects
from alignapp.studies.models import Arm
from tests.web import learned

PROTOCOLS = [{"name": "slider-1-100"}, {"name": "pick-1-of-n"}]
LONG, SHORT = "long", "short"  # the makers of an item's two answers


def project_of(owner: Person, count: int = 10, **fields: Any) -> Project:
    """Return a project with so many items of two answers, and nobody but its owner."""
    project = projects.create_project(owner, name="Tastes", protocols=PROTOCOLS, overlap=9, **fields)
    items.add_items(project, [item(f"item {n}") for n in range(count)])
    return project


def item(key: str, **fields: Any) -> items.NewItem:
    """Return an item to add, with a long answer and a short one."""
    made = [
        items.NewCandidate(f"{key} at some length, indeed", maker=LONG),
        items.NewCandidate(f"{key}.", maker=SHORT),
    ]
    return items.NewItem(key, [{"role": "user", "content": f"Say {key}"}], made, **fields)


def annotator(
    project: Project,
    name: str,
    likes: str = LONG,
    *,
    may_train: bool = True,
    shares: bool = False,
    **said: Any,
) -> Membership:
    """Return the membership of somebody who agreed, and who said of every item what they like."""
    person = Person.objects.create_user(f"{name}@example.org")
    give_consent(person)
    member = Membership.objects.create(project=project, person=person, role=Role.ANNOTATOR)
    projects.agree(member, may_train=may_train, shares=shares)
    for one in project.items.order_by("key"):
        says(one, person, likes, **said)
    return member


def says(
    item: Item,
    person: Person,
    likes: str = LONG,
    *,
    rating: tuple[int, int] | None = None,
    pick: bool = True,
    repeat_of: Assignment | None = None,
) -> Assignment:
    """Submit an answer: the liked one is picked, and rated first where ratings are given."""
    candidates = list(item.candidates.all())
    assignment = Assignment.objects.create(
        item=item, annotator=person, order=[str(one.id) for one in candidates], repeat_of=repeat_of,
        strategy="fill", lease_until="2100-01-01T00:00Z",
    )  # fmt: skip
    if repeat_of is None and item.purpose == Item.Purpose.ORDINARY:
        Item.objects.filter(pk=item.pk).update(taken=F("taken") + 1)
    values: dict[str, list[str]] = {}
    for one in candidates:
        if pick and one.maker == likes:
            values["pick-1-of-n"] = [str(one.id)]
        if rating:
            values[f"slider-1-100.{one.id}"] = [str(rating[one.maker != likes])]
            values[f"touched.slider-1-100.{one.id}"] = ["on"]
    answers.submit(assignment, values)
    return assignment


def made_by(job: Job) -> Artifact:
    """Return a sealed artifact of a job, as a worker would leave it."""
    made = learned.artifact(job.person)
    blank, made.job = made.job, job
    made.save()
    blank.delete()
    Job.objects.filter(pk=job.pk).update(state=Job.State.DONE)
    return made


def scored(arm: Arm, right: list[tuple[float, float, float]], count: int | None = None) -> None:
    """Give an arm scores: each comparison's base, group and own, spread over so many items."""
    count = count or len(right)
    arm.group_scores = {f"k{i}": [f"c{i % count}", base, group] for i, (base, group, _) in enumerate(right)}
    arm.own_scores = {f"k{i}": [f"c{i % count}", base, own] for i, (base, _, own) in enumerate(right)}
    arm.save()
