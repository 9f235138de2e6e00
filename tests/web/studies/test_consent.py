"""What consent that is taken back, erasing and deleting take along."""

from __future__ import annotations

import pytest

from alignapp.accounts.consent import withdraw_consent
from alignapp.accounts.erase import erase
from alignapp.accounts.models import Person
from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job
from alignapp.annotation.models import Membership
from alignapp.annotation.services import projects
from alignapp.exchange.models import ImportedPerson
from alignapp.studies import withdrawal
from tests.web import studied
from tests.web.studied import made_by

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("how", ["untick", "removed", "account"])
def test_consent_that_is_taken_back_ends_the_groups_adapter(how, study, django_capture_on_commit_callbacks):
    bert = study.arms.get(person__email="bert@example.org")
    group, own = made_by(study.group_job), made_by(bert.job)
    study.arms.update(group_scores={"k": ["c", 1, 1]}, own_scores={"k": ["c", 1, 1]})
    member = Membership.objects.get(person=bert.person)
    with django_capture_on_commit_callbacks(execute=True):
        if how == "untick":
            projects.agree(member, may_train=False)
        elif how == "removed":
            projects.remove(member)
        else:
            withdraw_consent(bert.person)
    study.refresh_from_db()
    assert study.withdrawn_at is not None
    assert (study.group, study.group_job) == (None, None)
    assert {job.state for job in study.jobs()} == {Job.State.CANCELLED}  # nothing is left to compare
    assert not Artifact.objects.filter(pk=group.pk).exists()
    assert not store.folder_of(group).exists()
    assert store.folder_of(own).exists()  # what was learned from them alone stays theirs
    assert set(study.arms.values_list("person__email", flat=True)) == {
        "anna@example.org", "carl@example.org",
    }  # fmt: skip
    assert all(arm.group_scores == {} and arm.own_scores for arm in study.arms.all())


def test_who_agrees_again_changes_nothing_and_an_outsiders_withdrawal_neither(study):
    carl = Membership.objects.get(person__email="carl@example.org")
    projects.agree(carl, may_train=True)
    outsider = studied.annotator(study.project, "dora", may_train=False)
    projects.agree(outsider, may_train=False)
    study.refresh_from_db()
    assert study.withdrawn_at is None
    assert study.arms.count() == 3


def test_erasing_somebody_erases_the_groups_adapter_and_their_own(study, django_capture_on_commit_callbacks):
    anna = study.arms.get(person__email="anna@example.org")
    group, own = made_by(study.group_job), made_by(anna.job)
    other = made_by(study.arms.get(person__email="bert@example.org").job)
    with django_capture_on_commit_callbacks(execute=True):
        erase(anna.person)
    assert set(Artifact.objects.all()) == {other}
    assert not store.folder_of(group).exists()
    assert not store.folder_of(own).exists()
    assert store.folder_of(other).exists()
    assert not Person.objects.filter(email__endswith="@group.invalid").exists()


def test_deleting_a_project_takes_the_group_along_and_leaves_people_what_is_theirs(
    study, django_capture_on_commit_callbacks
):
    stand_in = Person.objects.create_user("x@imported.invalid", is_active=False)
    ImportedPerson.objects.create(project=study.project, name="x", person=stand_in)
    imported_job = Job.objects.create(person=stand_in, method="dpo", from_project=True)
    group, imported = made_by(study.group_job), made_by(imported_job)
    own = made_by(study.arms.get(person__email="anna@example.org").job)
    with django_capture_on_commit_callbacks(execute=True):
        study.project.delete()
    assert set(Artifact.objects.all()) == {own}
    assert [store.folder_of(one).exists() for one in (group, imported, own)] == [False, False, True]
    own.refresh_from_db()
    assert own.job.from_project


def test_an_erasure_that_failed_is_finished_by_the_sweep(study, monkeypatch, caplog):
    group = made_by(study.group_job)
    member = Membership.objects.get(person__email="bert@example.org")
    monkeypatch.setattr(withdrawal, "erase_soon", lambda study: None)  # the process died before the commit
    projects.agree(member, may_train=False)
    assert store.folder_of(group).exists()
    withdrawal.finish_withdrawals()
    assert not store.folder_of(group).exists()
