"""A project's answers become a group's adapter and each person's own, by a real worker on a tiny model."""

from __future__ import annotations

import pytest

from alignapp.accounts.models import Person
from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job, MethodInfo
from alignapp.annotation.models import Annotation
from alignapp.chat import streams
from alignapp.studies import services
from alignapp.studies.records import answered, consenting
from alignapp.studies.report import report_of
from personalization.errors import NotEnoughData
from tests.web import studied
from tests.workers.conftest import wait_for
from workers import studying

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


def test_a_study_learns_proves_and_compares_on_items_that_no_adapter_saw(workers, settings):
    settings.MIN_TRAINING_PAIRS = 7
    workers.environment["ALIGN_TRAIN_TOGETHER"] = "8"
    owner = Person.objects.create_user("owner@example.org")
    project = studied.project_of(owner, count=10)
    members = [
        studied.annotator(project, "anna", studied.LONG),
        studied.annotator(project, "bert", studied.LONG),
    ]
    # Of the second: too few for an adapter of their own, and one more than can be held out of the group's.
    few = project.items.order_by("key")[:6]
    members[1].person.assignments.exclude(item__in=few).delete()
    studied.annotator(project, "dora", studied.SHORT, may_train=False)
    study = services.start(project.memberships.get(role="owner"), "dpo")
    workers.start()
    for job in study.jobs():
        done = wait_for(job, Job.State.DONE, Job.State.DEAD, Job.State.CANCELLED, seconds=120)
        assert (done.state, done.reason) == (Job.State.DONE, "")

    study.refresh_from_db()
    held_out = set(study.split["held_out"])
    assert len(held_out) == 5
    assert held_out.isdisjoint(study.split["train"])
    of_item = {
        str(pk): str(item)
        for pk, item in Annotation.objects.values_list("id", "submission__assignment__item")
    }
    may = {
        str(pk)
        for pk in Annotation.objects.filter(
            submission__assignment__annotator__in=[one.person for one in members]
        ).values_list("id", flat=True)
    }
    owners = {study.group_id, members[0].person_id}
    assert set(Artifact.objects.values_list("person", flat=True)) == owners
    for artifact in Artifact.objects.select_related("job"):
        assert set(artifact.job.split["held_out"]) == held_out
        sources = set(store.check(artifact)["records"])
        assert sources
        assert sources <= may  # nobody who did not agree taught anything
        assert {of_item[source] for source in sources}.isdisjoint(held_out)
        assert "objection" in artifact.report_card.results["safety"]  # the gate was asked
    group = Artifact.objects.get(person=study.group)
    whose = Annotation.objects.filter(pk__in=store.check(group)["records"])
    assert whose.values("submission__assignment__annotator").distinct().count() == 2

    anna, bert = (study.arms.select_related("person").get(person=one.person) for one in members)
    assert anna.own_scores.keys() == anna.group_scores.keys()
    assert {score[0] for score in anna.own_scores.values()} == held_out
    assert bert.own_scores == {}
    assert {score[0] for score in bert.group_scores.values()} <= held_out
    found = report_of([anna, bert])
    assert [one.person for one in found.people] == [str(anna.person)]
    assert found.people[0].n == 5
    assert found.people[0].accuracy["others"].n == 5  # by a reward model that knows the second person only


@pytest.fixture
def project(settings):
    settings.MIN_TRAINING_PAIRS = 4
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    yield studied.project_of(Person.objects.create_user("owner@example.org"), count=24)
    streams.connection().flushdb()


def test_people_who_cancel_each_other_out_make_no_group(project):
    for name, likes in (("anna", studied.LONG), ("bert", studied.SHORT)):
        studied.annotator(project, name, likes)
    study = services.start(project.memberships.get(role="owner"), "dpo")
    with pytest.raises(NotEnoughData, match="cancel each other out"):
        studying.records_for_job(study.group_job)


def test_the_split_is_made_once_leaves_nobody_without_and_keeps_copies_together(project):
    candidates = dict(project.items.values_list("key", "pk"))
    for key in ("item 0", "item 1"):  # the same question with the same answers, twice
        one = project.items.get(key=key)
        one.messages = [{"role": "user", "content": "Say it"}]
        one.save()
        for candidate, text in zip(one.candidates.all(), ("at length", "short"), strict=True):
            candidate.text = text
            candidate.save()
    studied.annotator(project, "anna")
    bert = studied.annotator(project, "bert")
    few = project.items.order_by("key")[:7]
    bert.person.assignments.exclude(item__in=few).delete()
    study = services.start(project.memberships.get(role="owner"), "dpo")
    found = list(answered(project, consenting(project).values_list("person_id", flat=True)))
    split = dict(studying.shared_split(study, found))
    held_out = set(split["held_out"])
    assert len(held_out) in (8, 9)  # a pair of copies counts as one
    assert held_out.isdisjoint(split["train"])
    assert len(held_out & {str(one.pk) for one in few}) >= 3  # of Bert's seven
    twins = {str(candidates["item 0"]), str(candidates["item 1"])}
    assert twins <= held_out or twins.isdisjoint(held_out)
    project.items.filter(key="item 5").update(may_train=False)
    assert studying.shared_split(study, found[:3]) == split
