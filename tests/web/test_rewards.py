"""Reward models on the page of a study, what it says of them, and what leaving a project takes along."""

from __future__ import annotations

import json
import re

import pytest
from django.urls import reverse

from alignapp.adapters.models import Job
from alignapp.annotation.access import Role
from alignapp.annotation.models import Assignment, Membership
from alignapp.annotation.services import items, projects, queue, writers
from alignapp.audit.models import AuditEvent
from alignapp.exchange.records import of_project
from alignapp.studies import judges, reward_page, services
from alignapp.studies.models import RewardModel, Study
from alignapp.studies.records import answered, consenting
from personalization.errors import AlignError, NotEnoughData
from tests import judged
from tests.web import studied
from tests.web.learned import methods

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(owner):
    return studied.project_of(owner)


@pytest.fixture
def study(project) -> Study:
    for name in ("anna", "bert"):
        studied.annotator(project, name)
    return services.start(project.memberships.get(role=Role.OWNER), "")


def rewarded(study: Study, **planted) -> RewardModel:
    """Store what a worker would have found; its files are none of a page's business."""
    Job.objects.filter(pk=study.reward_job_id).update(state=Job.State.DONE)
    for arm in study.arms.all():
        arm.judgements = {"k": ["c", {"bradley_terry": 1.0, "more": 1.0, "others": 0.0, "length": 0.5}]}
        arm.save()
    return RewardModel.objects.create(
        study=study, person=study.group, digest="a" * 64, size_bytes=1, model_revision="m",
        results=judged.results(**planted),
    )  # fmt: skip


def page_of(study: Study, client) -> str:
    return client.get(reverse("studies:page", args=[study.project_id])).content.decode()


def test_reward_models_alone_take_no_method_and_no_adapter(project, study):
    assert study.method == ""
    assert [job.method for job in study.jobs()] == ["reward"]
    assert study.is_open
    assert {arm.job for arm in study.arms.all()} == {None}
    with pytest.raises(AlignError, match="still under way"):
        services.start(project.memberships.get(role=Role.OWNER), "")


def test_they_are_offered_where_nobody_compared_enough_for_an_adapter(project, owner, client_of, settings):
    settings.MIN_TRAINING_PAIRS = 100
    methods()
    for name in ("anna", "bert"):
        studied.annotator(project, name)
    page = client_of(owner).get(reverse("studies:page", args=[project.id])).content.decode()
    assert "Reward models only" in page
    assert "and adapters:" not in page
    assert "Nobody compared enough for an adapter of their own yet" in page
    with pytest.raises(NotEnoughData, match="Nobody compared enough"):
        services.start(project.memberships.get(role=Role.OWNER), "dpo")
    client_of(owner).post(reverse("studies:start", args=[project.id]))
    assert Study.objects.get().method == ""


def test_the_page_waits_says_what_went_wrong_and_shows_what_was_found(study, owner, client_of):
    client = client_of(owner)
    assert "The figures appear when every answer was read" in page_of(study, client)
    Job.objects.update(state=Job.State.DEAD, reason="Too little.")
    page = page_of(study, client)
    assert "There are no reward models: their job did not end well" in page
    assert "Too little." in page
    rewarded(study)
    page = page_of(study, client)
    assert "better than a coin, and better than the length alone does" in page
    assert page.count('class="bar-chart"') == 1
    assert page.count('class="curve reliability"') == 2
    assert "Always one half" in page
    assert "anna@example.org" not in page
    anna = study.arms.get(person__email="anna@example.org")
    row = re.search(rf'<th scope="row">{anna.person}</th>(<td class="number">.*?</tr>)', page)
    assert re.findall(r'number">(.*?)</td>', row[1])[-5:] == ["100 %", "100 %", "0 %", "50 %", "1"]
    told = json.loads(client.get(reverse("studies:report", args=[study.id])).content)
    assert told["reward_models"]["judges"]["more"]["calibration"]["brier"]["n"] == 48


def test_it_is_said_where_they_know_no_more_than_a_coin_or_the_length(study):
    reward = rewarded(study, tastes={"ann": [0.0, 0.0], "bert": [0.0, 0.0]}, noise=1.0)
    found = reward_page.view_of(study, [])
    assert "no better than a coin" in found.words[0]
    assert judges.writers(study.project) == []
    useful = judged.results()
    useful["differences"] = [{**one, "p": 0.2} for one in useful["differences"]]
    reward.results = useful
    reward.save()
    assert "is not shown" in reward_page.view_of(study, []).words[0]
    assert [one.key for one in writers.offered(study.project)] == ["base", "best_of"]


def test_the_latest_study_serves_in_its_own_project_only(study, owner):
    rewarded(study)
    other = studied.project_of(owner)
    assert judges.serving(other) is None
    newer = Study.objects.create(project=study.project, group=None)
    rewarded_again = RewardModel.objects.create(
        study=newer, person=study.group, digest="b" * 64, size_bytes=1, model_revision="m",
        results=judged.results(),
    )  # fmt: skip
    assert judges.serving(study.project) == rewarded_again


# --- leaving ---------------------------------------------------------------------------------


def leave(client, project, **ticked):
    return client.post(reverse("annotation:leave", args=[project.id]), ticked, follow=True)


def test_what_leaving_takes_is_said_before(study, client_of):
    anna = Membership.objects.get(person__email="anna@example.org")
    projects.agree(anna, may_train=True, lends=True)
    client = client_of(anna.person)
    url = reverse("annotation:leave", args=[study.project_id])
    assert url in client.get(reverse("annotation:project", args=[study.project_id])).content.decode()
    page = " ".join(client.get(url).content.decode().split())
    assert "10 answers that you submitted stay with the project" in page
    assert "What 1 study learned from several people together is deleted" in page
    assert "Your own model writes no more answers" in page
    assert Membership.objects.filter(pk=anna.pk).exists()  # looking is not leaving


def test_who_leaves_sees_nothing_more_and_what_they_said_stays_but_teaches_nothing(
    study, owner, client_of, django_capture_on_commit_callbacks
):
    rewarded(study)
    anna, project = Membership.objects.get(person__email="anna@example.org").person, study.project
    project.items.update(wanted=9)
    items.add_items(project, [studied.item("fresh")])
    held = queue.claim_next(Membership.objects.get(person=anna, project=project))
    held.draft = {"text": ["half a thought"]}
    held.save()
    client = client_of(anna)
    with django_capture_on_commit_callbacks(execute=True):
        answer = leave(client, project)
    assert "You left the project" in answer.content.decode()
    assert client.get(reverse("annotation:project", args=[project.id])).status_code == 404
    assert client.get(reverse("annotation:work", args=[held.id])).status_code == 404
    held.refresh_from_db()
    assert (held.state, held.draft) == (Assignment.State.DISCARDED, {})
    assert project.items.get(pk=held.item_id).taken == 0
    assert anna.assignments.filter(state=Assignment.State.SUBMITTED).count() == 10
    assert anna.pk not in [one.person for one in _answered(project)]
    study.refresh_from_db()
    assert study.withdrawn_at is not None
    assert not RewardModel.objects.exists()
    assert not study.arms.filter(person=anna).exists()
    assert {str(arm.judgements) for arm in study.arms.all()} == {"{}"}
    assert AuditEvent.objects.filter(verb="project.left").count() == 1
    exported = _exported(project)
    assert exported.count(False) == 10  # of the rows that stay none is for training
    again = projects.join(projects.invite(project, Role.ANNOTATOR).token, anna)
    assert not again.has_consented  # a new invitation asks anew


def test_who_asks_for_it_takes_their_answers_along_and_others_are_asked_instead(study, client_of):
    bert, project = Membership.objects.get(person__email="bert@example.org").person, study.project
    assert set(project.items.values_list("taken", flat=True)) == {2}
    leave(client_of(bert), project, delete_answers="on")
    assert not bert.assignments.exists()
    assert set(project.items.values_list("taken", flat=True)) == {1}
    assert Assignment.objects.filter(item__project=project).count() == 10  # the other's stay
    assert len(_exported(project)) == 10


def test_the_owner_cannot_leave_and_an_outsider_finds_nothing(study, owner, other, client_of):
    assert "The owner cannot leave" in leave(client_of(owner), study.project).content.decode()
    assert study.project.memberships.filter(person=owner).exists()
    assert client_of(other).get(reverse("annotation:leave", args=[study.project_id])).status_code == 404


def _answered(project):
    return list(answered(project, consenting(project).values_list("person_id", flat=True)))


def _exported(project) -> list[bool]:
    """Return for each judgement that an export holds whether it may be trained on."""
    return [one.may_train for example in of_project(project) for one in example.judgements]
