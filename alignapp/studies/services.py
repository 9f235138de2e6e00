"""What a manager does: see who and what may be trained on, start a study, stop it.

Knows nothing of pages or of training: jobs are those of `alignapp.adapters`, one for the reward models, and
where adapters are asked for one for the group and one for each person who answered enough.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.cache import cache
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.accounts.models import Person
from alignapp.adapters import dispatch, options
from alignapp.adapters.models import Job, MethodInfo
from alignapp.adapters.readiness import MIN_CONVERSATIONS
from alignapp.annotation.models import Item, Membership, Project
from alignapp.audit.services import record
from alignapp.exchange.rows import NAMELESS
from alignapp.limits import TooMany
from alignapp.quality.figures import KEPT_SECONDS, state_of
from alignapp.studies.models import Arm, Study
from alignapp.studies.records import answered, consenting, records_of
from personalization.errors import AlignError, NotEnoughData, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

MOST_OWN = 20  # adapters of single people in a study: those who compared most
REWARD = "reward"  # of a job: no learning method of people's own feedback has this name
LEAST_ITEMS = 10  # with comparisons, for reward models: half of them are held out
BEHIND = -1  # the priority of its jobs: people's own feedback comes first
STOPPED = "Whoever runs the project stopped it."


@dataclass(frozen=True, slots=True)
class Taught:
    """What one consenting person's answers hold."""

    person: Person
    comparisons: int
    conversations: int
    least: int  # comparisons that an adapter takes, as in a person's own chat
    is_somebody: bool = True  # False: stands for whoever a file did not name, who may be several

    @property
    def is_enough(self) -> bool:
        """Whether it is enough for an adapter of their own."""
        return self.is_somebody and self.comparisons >= self.least and self.conversations >= MIN_CONVERSATIONS


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study that began now would learn from, and whom it would leave out."""

    people: list[Taught]  # who consent and compared anything, most comparisons first
    least: int  # comparisons that an adapter takes
    without_consent: int  # members who answered and do not consent
    items: int  # ordinary items that may be trained on
    items_left_out: int
    licences: dict[str, int]  # of those items; "" where an item names none

    @property
    def own(self) -> list[Taught]:
        """The people who get an adapter of their own."""
        return [one for one in self.people if one.is_enough][:MOST_OWN]

    @property
    def lacks_for_adapters(self) -> str:
        """What is missing before adapters can be learned, where reward models can; "" when nothing is."""
        if self.own:
            return ""
        return _(
            "Nobody compared enough for an adapter of their own yet: it takes %(pairs)d comparisons in "
            "%(conversations)d items by one person."
        ) % {"pairs": self.least, "conversations": MIN_CONVERSATIONS}

    @property
    def lacks(self) -> str:
        """What is missing before a study can start, in words; "" when nothing is."""
        if self.items_left_out and not self.items:
            return _("None of the items of this project may be trained on: so it was said when they came in.")
        if len(self.people) < 2:
            return _(
                "A group takes at least two people who agreed to training and compared answers; "
                "there are %(n)d."
            ) % {"n": len(self.people)}
        return ""


def plan(project: Project) -> Plan:
    """Count who could teach what. Reads every answer that may be trained on, once until another comes in."""
    members = list(consenting(project))
    ordinary = project.items.filter(purpose=Item.Purpose.ORDINARY)
    licences = Counter(ordinary.filter(may_train=True).values_list("licence", flat=True))
    counted = _counted(project, [one.person_id for one in members], sum(licences.values()))
    nameless = set(project.imported_people.filter(name=NAMELESS).values_list("person_id", flat=True))
    least: int = options.value("jobs.min_pairs")
    people = [
        Taught(one.person, counts[0], counts[1], least, one.person_id not in nameless)
        for one in members
        if (counts := counted.get(str(one.person_id)))
    ]
    answering = ordinary.values("assignments__annotator")
    without = project.memberships.filter(person__in=answering).exclude(pk__in=[one.pk for one in members])
    return Plan(
        people=sorted(people, key=lambda one: (-one.comparisons, str(one.person))),
        least=least,
        without_consent=without.count(),
        items=sum(licences.values()),
        items_left_out=ordinary.filter(may_train=False).count(),
        licences=dict(sorted(licences.items())),
    )


def _counted(project: Project, people: list[uuid.UUID], items: int) -> dict[str, list[int]]:
    """Return the comparisons of each person who made any, and of how many conversations."""
    told = ":".join((state_of(project), str(items), *sorted(map(str, people))))
    key = f"studies:{project.pk}:{hashlib.sha256(told.encode()).hexdigest()}"
    counts: dict[str, list[int]] | None = cache.get(key)
    if counts is None:
        found = records_of(answered(project, people))
        counts = {
            str(person): [len(records.pairs), len({pair.conversation for pair in records.pairs})]
            for person, records in found.items()
            if records.pairs
        }
        cache.set(key, counts, KEPT_SECONDS)
    return counts


def methods() -> QuerySet[MethodInfo]:
    """Return the methods that learn an adapter from comparisons, which are what a group has too."""
    return MethodInfo.objects.filter(enabled=True, produces="adapter", data="pairs")


def start(by: Membership, method: str) -> Study:
    """Begin a study of the manager's project: a job for the reward models, and with a method for adapters.

    These are one for the group, and one for each person with enough, with what operators set for the method.
    Without a method there are none.
    Raises UnknownName, NotEnoughData, TooMany, and AlignError while another study of the project is open.
    """
    project = by.project
    if method and method not in (known := list(methods().values_list("name", flat=True))):
        raise UnknownName("method", method, known)
    planned = plan(project)
    if lacks := planned.lacks or (method and planned.lacks_for_adapters):
        raise NotEnoughData(lacks, missing=1)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # two at once: the second sees the first's
        _check_may_start(project)
        group = _account()
        study = Study.objects.create(
            project=project,
            method=method,
            group=group,
            counts={
                "items": planned.items, "left_out": planned.items_left_out, "licences": planned.licences
            },
        )  # fmt: skip
        parameters = options.preset(method) if method else {}
        study.reward_job = _job(group, REWARD)
        study.group_job = _job(group, method, parameters) if method else None
        study.save(update_fields=["reward_job", "group_job"])
        own = {one.person.pk for one in planned.own} if method else set()
        for one in planned.people:
            job = _job(one.person, method, parameters) if one.person.pk in own else None
            Arm.objects.create(study=study, person=one.person, job=job, comparisons=one.comparisons)
        record(by.person, "study.started", study, method=method, people=len(planned.people))
    return study


def stop(by: Membership, study: Study) -> int:
    """Cancel the jobs of a study that have not ended; return how many. What is done stays."""
    jobs = list(study.jobs().exclude(state__in=Job.ENDED))
    stopped = sum(job.cancel(STOPPED) for job in jobs)
    record(by.person, "study.stopped", study)
    return stopped


def study_of(project: Project, study_id: uuid.UUID | None = None) -> Study | None:
    """Return one study of a project, the latest without an id; None where there is none."""
    found = Study.objects.filter(project=project).select_related("group_job", "reward_job", "project")
    chosen: Study | None = (found.filter(pk=study_id) if study_id else found).first()
    return chosen


def _check_may_start(project: Project) -> None:
    studies = Study.objects.filter(project=project)
    of_project = Q(study__project=project) | Q(arm__study__project=project)
    of_project |= Q(reward_study__project=project)
    if Job.objects.exclude(state__in=Job.ENDED).filter(of_project).exists():
        raise AlignError(_("A study of this project is still under way. Wait for it, or stop it."))
    day_ago, most = timezone.now() - timedelta(days=1), options.value("jobs.per_day")
    if studies.filter(created_at__gt=day_ago).count() >= most:
        raise TooMany(
            _("A project may start %(n)d studies a day. Try again tomorrow.") % {"n": most},
            retry_after_seconds=3600,
        )


def _account() -> Person:
    """Make an account that nobody can sign in with, to hold the group's adapter."""
    group = Person(email=f"{uuid.uuid4()}@group.invalid", is_active=False)
    group.set_unusable_password()
    group.save()
    return group


def _job(person: Person, method: str, parameters: Mapping[str, float] | None = None) -> Job:
    job = Job.objects.create(
        person=person,
        method=method,
        parameters=dict(parameters or {}),
        from_project=True,
        priority=BEHIND,
    )
    dispatch.wake_for_job(job)
    return job
