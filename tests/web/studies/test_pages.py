"""The pages of a study: who sees and starts it, and what they say."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.adapters.models import Job
from alignapp.annotation.access import Role
from alignapp.annotation.models import Membership
from alignapp.annotation.services import projects
from alignapp.studies.models import Study
from tests.web import studied
from tests.web.learned import methods
from tests.web.studied import scored

pytestmark = pytest.mark.django_db


def test_annotators_and_outsiders_neither_see_nor_start_anything(study, project, client_of, other):
    anna = Person.objects.get(email="anna@example.org")
    project.is_open = False
    project.save()
    urls = [("get", reverse("studies:page", args=[project.id]))]
    urls += [("get", reverse("studies:report", args=[study.id]))]
    urls += [("post", reverse("studies:stop", args=[study.id]))]
    urls += [("post", reverse("studies:start", args=[project.id]))]
    for person in (anna, other):
        client = client_of(person)
        assert [getattr(client, method)(url).status_code for method, url in urls] == [404] * 4
    assert study.is_open


def test_a_manager_starts_watches_and_stops(project, client_of, other):
    methods()
    for name, likes in (("anna", studied.LONG), ("bert", studied.SHORT)):
        studied.annotator(project, name, likes)
    studied.annotator(project, "no", may_train=False)
    Membership.objects.create(project=project, person=other, role=Role.MANAGER)
    client = client_of(other)
    url = reverse("studies:page", args=[project.id])
    page = client.get(url).content.decode()
    assert "2 people compared answers and agreed to training" in page
    assert "the answers of 1 other are not touched" in page
    answer = client.post(reverse("studies:start", args=[project.id]), {"method": "dpo"}, follow=True)
    text = answer.content.decode()
    assert "4 jobs wait" in text
    assert "anna@example.org" not in text
    assert str(Person.objects.get(email="anna@example.org")) in text
    study = Study.objects.get()
    part = client.get(f"{url}?study={study.id}", headers={"HX-Request": "true"})
    assert part.content.decode().strip().startswith('<section class="card stack" id="study"')
    assert "HX-Request" in part["Vary"]
    assert "HX-Refresh" not in part
    client.post(reverse("studies:stop", args=[study.id]))
    assert not study.is_open
    part = client.get(f"{url}?study={study.id}", headers={"HX-Request": "true"})
    assert part["HX-Refresh"] == "true"
    assert "There is nothing to compare" in client.get(url).content.decode()
    assert client.get(f"{url}?study=nonsense").status_code == 404


@pytest.mark.parametrize("state", [Job.State.DEAD, Job.State.CANCELLED])
def test_a_group_that_will_not_be_is_told_before_the_others_are_done(study, owner, client_of, state):
    url = reverse("studies:page", args=[study.project_id])
    assert "The comparison appears when" in client_of(owner).get(url).content.decode()
    Job.objects.filter(pk=study.group_job_id).update(state=state, reason="They cancel each other out.")
    page = client_of(owner).get(url).content.decode()
    assert "There will be nothing to compare with" in page
    assert "They cancel each other out." in page


def test_the_page_shows_what_was_found_and_the_file_holds_it(study, owner, client_of):
    for arm in study.arms.all():
        scored(arm, [(0.5, 0.0, 1.0)] * 12)
    client = client_of(owner)
    page = client.get(reverse("studies:page", args=[study.project_id])).content.decode()
    assert page.count('class="bar-chart"') == 2
    assert "their own is better" in page
    assert "So far; it changes while jobs run" in page
    response = client.get(reverse("studies:report", args=[study.id]))
    assert response["Content-Disposition"] == f'attachment; filename="study-{study.id}.json"'
    found = json.loads(response.content)
    assert len(found["people"]) == 3
    assert found["overall"]["verdict"] == "own"
    assert {one["person"] for one in found["people"]} == {str(arm.person) for arm in study.arms.all()}
    assert "example.org" not in response.content.decode()


def test_an_empty_project_says_what_to_do(project, owner, client_of):
    page = client_of(owner).get(reverse("studies:page", args=[project.id])).content.decode()
    assert "A group takes at least two people" in page
    assert "Start training" not in page
    project.items.update(may_train=False)
    page = client_of(owner).get(reverse("studies:page", args=[project.id])).content.decode()
    assert "None of the items of this project may be trained on" in page


def test_a_withdrawn_study_says_so_and_shows_no_numbers(study, owner, client_of):
    for arm in study.arms.all():
        scored(arm, [(0.5, 0.0, 1.0)] * 12)
    projects.agree(Membership.objects.get(person__email="bert@example.org"), may_train=False)
    page = client_of(owner).get(reverse("studies:page", args=[study.project_id])).content.decode()
    assert "does not agree to training any more" in page
    assert "bar-chart" not in page
