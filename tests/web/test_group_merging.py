"""Whose adapters may be merged together, by the verbs, the panel, the terminal and the API."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from alignapp.accounts.consent import give_consent, withdraw_consent
from alignapp.accounts.models import Person
from alignapp.adapters import comparison
from alignapp.adapters.models import Artifact, Job, MergeWay
from alignapp.annotation.access import Role
from alignapp.annotation.models import Membership
from alignapp.annotation.services import projects
from alignapp.audit.models import AuditEvent
from alignapp.studies import services
from alignapp.studies.merging import start_merge
from alignapp.studies.models import Study
from personalization.errors import AlignError, UnknownName
from tests.web import learned, studied
from tests.web.operating import signed_in_with
from tests.web.programs import operators_program
from tests.web.studied import made_by

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def surroundings(settings, tmp_path):
    settings.MIN_TRAINING_PAIRS = 4
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"
    learned.methods()
    MergeWay.objects.create(
        name="ties",
        summary="TIES.",
        paper="",
        parameters={"density": {"default": 0.2, "low": 0.0, "high": 1.0}},
    )


@pytest.fixture
def study(owner) -> Study:
    project = studied.project_of(owner)
    for name in ("anna", "bert"):
        studied.annotator(project, name)
    return services.start(project.memberships.get(role=Role.OWNER), "dpo")


@pytest.fixture
def parents(study) -> list[Artifact]:
    return [made_by(arm.job) for arm in study.arms.select_related("job")]


def merge(parents: list[Artifact], **given: object) -> Job:
    wanted = {"way": "ties", "parameters": {"density": 0.3}, "reason": "what they share", **given}
    return start_merge("terminal", dict.fromkeys(parents, 1.0), **wanted)


def test_the_group_holds_it_and_each_reads_that_theirs_is_in_it(study, parents):
    with pytest.raises(UnknownName):
        merge(parents, way="magic")
    job = merge(parents)
    assert (job.person, job.from_project, job.state) == (study.group, True, "queued")
    assert study.is_open
    for parent in parents:
        event = AuditEvent.objects.get(verb="merge.joined", subject=parent.person)
        assert (event.reason, event.evidence["people"]) == ("what they share", 2)
    with pytest.raises(AlignError, match="has not ended yet"):
        merge(parents)
    assert Job.objects.filter(method="merge").count() == 1


@pytest.mark.parametrize("how", ["untick", "account"])
def test_one_who_agrees_no_more_ends_it_and_no_other_begins(
    how, study, parents, django_capture_on_commit_callbacks
):
    job = merge(parents)
    Job.objects.filter(pk=job.pk).update(state="done")
    job.refresh_from_db()
    made = made_by_group(job)
    with django_capture_on_commit_callbacks(execute=True):
        if how == "untick":
            projects.agree(Membership.objects.get(person=parents[0].person), may_train=False)
        else:
            withdraw_consent(parents[0].person)
    assert not Artifact.objects.filter(pk=made.pk).exists()
    assert set(Artifact.objects.all()) == set(parents)
    with pytest.raises(AlignError):
        merge(parents)


def made_by_group(job: Job) -> Artifact:
    made = made_by(job)
    made.person = job.person
    made.save()
    return made


def test_only_what_one_study_made_is_merged_across_people(study, parents, other):
    give_consent(other)
    theirs, chat = learned.artifact(other), learned.artifact(parents[0].person)
    for wrong in ([parents[0], theirs], [parents[1], chat], [*parents, theirs]):
        with pytest.raises(AlignError, match="one study of a project"):
            merge(wrong)
    assert not Job.objects.filter(method="merge").exists()
    own = merge([parents[0], chat])  # of one person, as ever
    assert (own.person, own.from_project) == (parents[0].person, False)


def test_the_panel_offers_it_and_names_nobody_elses_words(study, parents, owner):
    operator = signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))
    ids = [str(parent.pk) for parent in parents]
    page = operator.get(reverse("panel:compare"), {"id": ids})
    assert page.context["group"] == study
    assert b"belongs to the group" in page.content
    row = {"layer": 3, "first": 0, "second": 1, "cosine": -0.5, "sign_conflict": 0.8, "overlap": 0.1}
    comparison.keep(parents, {"rows": [row]})
    part = operator.get(reverse("panel:compare"), {"id": ids, "part": "weights"}).content.decode()
    assert all(f"{parent}, {parent.person.pseudonym}</span>" in part for parent in parents)
    sent = {"id": ids, "way": "ties", "density": "0.4", "reason": "what they share"}
    sent |= {f"weight-{pk}": "1" for pk in ids}
    assert operator.post(reverse("panel:merge"), sent).status_code == 302
    job = Job.objects.get(method="merge")
    assert (job.person, job.parameters["parameters"]) == (study.group, {"density": 0.4})
    stranger = learned.artifact(owner)
    page = operator.get(reverse("panel:compare"), {"id": [*ids, str(stranger.pk)]})
    assert page.context["group"] is None
    assert b"one study of a project" in page.content  # why there is no form


def test_the_terminal_and_the_api_do_the_same(study, parents):
    out = StringIO()
    names = [f"{parents[0].pk}=0.5", str(parents[1].pk)]
    call_command("adapters", "merge", *names, "--way", "ties", "--reason", "why", "--json", stdout=out)
    first = Job.objects.get(pk=json.loads(out.getvalue())["job"])
    assert first.parameters["parents"][0]["weight"] == 0.5
    first.cancel()
    given = {"way": "ties", "parents": [{"artifact": str(a.pk)} for a in parents], "reason": "why"}
    operator = operators_program()
    made = operator.ask("artifacts/merge", given).json()
    assert (made["method"], made["person"]) == ("merge", study.group.pseudonym)
    withdraw_consent(parents[1].person)
    assert operator.error("artifacts/merge", given)[:2] == (400, "refused")
    with pytest.raises(CommandError, match="agree"):
        call_command("adapters", "merge", *names, "--way", "ties", "--reason", "why")
