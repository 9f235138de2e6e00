"""A study's jobs: when they start, and whose the adapters are."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.adapters import options
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.pages.learning import learn_views
from alignapp.adapters.services import start_job, switch_on
from alignapp.annotation.access import Role
from alignapp.annotation.models import Membership
from alignapp.studies import services
from alignapp.studies.models import Arm
from personalization.errors import AlignError, NotEnoughData, UnknownName
from tests.web import learned, studied
from tests.web.learned import methods
from tests.web.studied import made_by

pytestmark = pytest.mark.django_db


def test_a_study_has_a_job_of_the_group_and_one_of_each_with_enough(study, project):
    arms = {arm.person.email.split("@")[0]: arm for arm in study.arms.select_related("person", "job")}
    assert {name: arm.job is not None for name, arm in arms.items()} == {
        "anna": True, "bert": True, "carl": False,
    }  # fmt: skip
    assert [arms[name].comparisons for name in ("anna", "bert", "carl")] == [10, 10, 2]
    jobs = [study.group_job, arms["anna"].job, arms["bert"].job]
    assert {(job.from_project, job.priority, job.method) for job in jobs} == {(True, -1, "dpo")}
    assert (study.reward_job.person, study.reward_job.method) == (study.group, "reward")
    assert set(study.jobs()) == {*jobs, study.reward_job}
    assert (study.group.is_active, study.group.has_usable_password()) == (False, False)
    assert study.counts == {"items": 10, "left_out": 0, "licences": {"": 10}}


def test_it_learns_with_what_operators_set_for_the_method(study, project):
    member = project.memberships.get(role=Role.OWNER)
    services.stop(member, study)
    options.change("preset.dpo", {"beta": 0.5}, by="operator", reason="gentler")
    jobs = services.start(member, "dpo").jobs()
    assert {(job.method, job.parameters.get("beta")) for job in jobs} == {("dpo", 0.5), ("reward", None)}


def test_a_project_has_one_study_at_a_time(study, project):
    member = project.memberships.get(role=Role.OWNER)
    with pytest.raises(AlignError, match="still under way"):
        services.start(member, "dpo")
    assert services.stop(member, study) == 4
    assert {job.state for job in study.jobs()} == {Job.State.CANCELLED}
    assert services.start(member, "dpo") != study


def test_too_few_people_or_answers_are_said_before_anything_starts(project):
    methods()
    member = project.memberships.get(role=Role.OWNER)
    with pytest.raises(UnknownName):
        services.start(member, "steer")
    studied.annotator(project, "anna")
    with pytest.raises(NotEnoughData, match="at least two people"):
        services.start(member, "dpo")
    bert = studied.annotator(project, "bert")
    Arm.objects.all().delete()
    for one in (bert, Membership.objects.get(person__email="anna@example.org")):
        one.person.assignments.exclude(item__in=project.items.order_by("key")[:3]).delete()
    with pytest.raises(NotEnoughData, match="Nobody compared enough"):
        services.start(member, "dpo")
    assert not Job.objects.exists()


def test_what_an_operator_set_for_people_holds_for_a_study(project):
    methods()
    studied.annotator(project, "anna", studied.LONG)
    studied.annotator(project, "bert", studied.SHORT)
    assert services.plan(project).own
    options.change("jobs.min_pairs", 1_000, by="terminal", reason="more evidence")
    assert "1000 comparisons" in services.plan(project).lacks_for_adapters


def test_a_projects_job_is_not_the_persons_own_and_takes_nothing_from_them(study):
    anna = Person.objects.get(email="anna@example.org")
    learned.ready(anna)
    own = start_job(anna, "dpo")  # though the project's is open
    assert own.from_project is False
    assert start_job(anna, "dpo") == own
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.create(person=anna, method="dpo")
    views = learn_views(anna, list(Job.objects.for_person(anna)))
    assert next(view for view in views if view.info.name == "dpo").open_job == own


def test_the_groups_adapter_acts_for_nobody_and_ones_own_only_by_oneself(study, owner):
    anna = study.arms.get(person__email="anna@example.org")
    group, own = made_by(study.group_job), made_by(anna.job)
    for person in (owner, anna.person):
        assert group not in Artifact.objects.for_person(person)
        with pytest.raises(AlignError, match="somebody else"):
            switch_on(person, group)
    with pytest.raises(AlignError, match="somebody else"):
        switch_on(owner, own)
    assert switch_on(anna.person, own).adapter == own


def test_the_person_reads_where_their_adapter_comes_from(study, client_of):
    anna = study.arms.get(person__email="anna@example.org")
    client = client_of(anna.person)
    page = client.get(reverse("adapters:job", args=[anna.job.id])).content.decode()
    assert "Learns from your answers in “Tastes”" in page
    own = made_by(anna.job)
    assert "from a project" in client.get(reverse("adapters:alignment")).content.decode()
    page = client.get(reverse("adapters:artifact", args=[own.id])).content.decode()
    assert "acts in your chat only if you switch it on" in page
    again = client.post(reverse("adapters:start_again", args=[anna.job.id]))
    assert again.status_code == 302
    assert Job.objects.for_person(anna.person).count() == 1
