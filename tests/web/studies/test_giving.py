"""Who can be given a merge of a group's adapters, by whom, and what takes it back."""

from __future__ import annotations

import json
import zipfile
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alignapp.accounts.consent import withdraw_consent
from alignapp.accounts.export import export
from alignapp.accounts.models import Person
from alignapp.adapters import store
from alignapp.adapters.merging import start_merge as start_own_merge
from alignapp.adapters.models import Artifact, Job, MergeWay
from alignapp.adapters.services import current_alignment, switch_on
from alignapp.annotation.models import Membership
from alignapp.annotation.services import projects
from alignapp.audit.models import AuditEvent
from alignapp.studies import giving, services
from alignapp.studies.merging import start_merge
from alignapp.studies.models import Given, Study
from personalization.errors import AlignError
from tests.web import learned, studied
from tests.web.operating import signed_in_with
from tests.web.programs import operators_program
from tests.web.studied import made_by

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def surroundings(settings, tmp_path):
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"
    learned.methods()
    MergeWay.objects.create(name="ties", summary="TIES.", paper="", parameters={})


@pytest.fixture
def study(project) -> Study:
    """Anna, Bert and Carl share, Dora does not; Carl answered two items only."""
    for name in ("anna", "bert", "carl"):
        studied.annotator(project, name, shares=True)
    studied.annotator(project, "dora")
    keep = project.items.order_by("key")[:2]
    carl = Person.objects.get(email="carl@example.org")
    carl.assignments.exclude(item__in=keep).delete()
    return services.start(project.memberships.get(role="owner"), "dpo")


def member(name: str) -> Membership:
    return Membership.objects.select_related("person", "project").get(person__email=f"{name}@example.org")


def merged(study: Study, *names: str) -> Artifact:
    """Return the group's merge of the adapters of these people, which passed the gate."""
    jobs = [study.arms.get(person__email=f"{name}@example.org").job for name in names]
    parents = [getattr(job, "artifact", None) or made_by(job) for job in jobs]
    return made_by(start_merge("terminal", dict.fromkeys(parents, 1.0), "ties", {}, "what they share"))


@pytest.fixture
def merge(study) -> Artifact:
    return merged(study, "anna", "bert")


def given_to(name: str) -> Artifact:
    """Return the version that somebody was given, as a worker would leave it."""
    return made_by(Given.objects.get(job__person__email=f"{name}@example.org").job)


def test_everybody_who_agreed_gets_a_job_of_their_own_once_and_reads_why(study, merge):
    with pytest.raises(AlignError, match="Say why"):
        giving.give("terminal", merge, " ")
    jobs = giving.give("terminal", merge, "they asked for it")
    assert {job.person.email for job in jobs} == {f"{n}@example.org" for n in ("anna", "bert", "carl")}
    for job in jobs:
        assert (job.method, job.from_project, job.parameters) == ("merge", True, merge.job.parameters)
        assert AuditEvent.objects.get(verb="merge.given", subject=job.person).reason == "they asked for it"
        sources = job.given.sources.values_list("person__email", flat=True)
        assert set(sources) == {"anna@example.org", "bert@example.org"}
    of_the_merge = AuditEvent.objects.get(verb="merge.given", object_id=str(merge.pk))
    assert (of_the_merge.reason, of_the_merge.evidence["members"]) == ("they asked for it", 3)
    assert study.is_open
    with pytest.raises(AlignError, match="has it already"):
        giving.give("terminal", merge, "again")
    jobs[0].cancel()
    assert [job.person for job in giving.give("terminal", merge, "again")] == [jobs[0].person]


def test_a_merge_costs_the_same_however_many_were_given_it(study, merge, django_assert_num_queries):
    for one in giving.give("terminal", merge, "they asked for it")[1:]:
        one.cancel()
    with CaptureQueriesContext(connection) as few:
        giving.offer(merge)
    for one in giving.give("terminal", merge, "again"):
        one.cancel()
    with django_assert_num_queries(len(few)):
        assert len(giving.offer(merge).given) == 5


def test_nobody_is_given_what_somebody_in_it_does_not_share(study, merge):
    theirs = merged(study, "anna", "dora")
    with pytest.raises(AlignError, match="does not let it be given"):
        giving.give("terminal", theirs, "why")
    projects.agree(member("dora"), may_train=True, shares=True)
    assert len(giving.give("terminal", theirs, "why")) == 4


@pytest.mark.parametrize("how", ["quarantined", "no merge", "deleted parent", "other words"])
def test_what_may_not_act_or_is_not_known_to_be_agreed_to_is_given_to_nobody(how, study, merge, monkeypatch):
    parent = merge.job.parameters["parents"][0]["artifact"]
    if how == "quarantined":
        Artifact.objects.filter(pk=merge.pk).update(state="quarantined")
        merge.refresh_from_db()
    elif how == "no merge":
        merge = Artifact.objects.get(pk=parent)
    elif how == "deleted parent":
        Artifact.objects.get(pk=parent).delete()
    else:
        study.project.consent_text = "Other words"
        study.project.save()
    with pytest.raises(AlignError):
        giving.give("terminal", merge, "why")
    assert not Given.objects.exists()


def test_it_acts_only_by_oneself_and_leaves_neither_by_download_nor_export_nor_merge(study, merge, client_of):
    giving.give("terminal", merge, "why")
    given, anna = given_to("anna"), member("anna").person
    client = client_of(anna)
    page = client.get(reverse("adapters:artifact", args=[given.pk])).content.decode()
    assert "Merged from adapters of people of “Tastes”" in page
    download = reverse("adapters:download", args=[given.pk])
    assert download not in page
    refused = client.get(download, follow=True)
    assert "who may take them back. It stays here." in refused.content.decode()
    with export(anna) as file, zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.startswith("artifacts/")]
        told = archive.read("README.txt").decode()
    own = Artifact.objects.get(job__arm__person=anna)
    assert {name.split("/")[1] for name in names} == {f"adapter-v{own.number}"}
    assert f"The files of {given} are not in here" in told
    with pytest.raises(AlignError, match="several people's adapters"):
        start_own_merge("terminal", dict.fromkeys([own, given], 1.0), "ties", {}, "why")
    assert current_alignment(anna) is None
    assert switch_on(anna, given).adapter == given
    mine = client.get(reverse("adapters:alignment")).content.decode()
    assert mine.count("merged from several people") == 1  # what acts is not "from your comparisons"
    assert mine.count("merged of several people") == 1


@pytest.mark.parametrize(
    "how", ["unshare", "untick", "account", "erased project", "one who was only given it"]
)
def test_one_who_takes_it_back_takes_it_from_all_whose_it_is_in(
    how, study, merge, django_capture_on_commit_callbacks
):
    giving.give("terminal", merge, "why")
    bert, carl = given_to("bert"), given_to("carl")
    switch_on(bert.person, bert)
    with django_capture_on_commit_callbacks(execute=True):
        if how == "unshare":
            projects.agree(member("anna"), may_train=True)
        elif how == "untick":
            projects.agree(member("anna"), may_train=False)
        elif how == "account":
            withdraw_consent(member("anna").person)
        elif how == "erased project":
            study.project.delete()
        else:
            projects.agree(member("carl"), may_train=True)
    alone = how == "one who was only given it"
    left = {"anna@example.org", "bert@example.org"} if alone else set()
    assert set(Given.objects.values_list("job__person__email", flat=True)) == left
    assert [Artifact.objects.filter(pk=one.pk).exists() for one in (bert, carl)] == [alone, False]
    assert [store.folder_of(one).exists() for one in (bert, carl)] == [alone, False]
    assert current_alignment(bert.person).adapter == (bert if alone else None)
    assert not Job.objects.filter(pk=carl.job_id).exists()
    assert AuditEvent.objects.filter(verb="merge.taken_back", subject=carl.person).exists()
    # The group's own goes with consent to training, not with what is given of it.
    assert Artifact.objects.filter(pk=merge.pk).exists() == (how in ("unshare", "one who was only given it"))


def test_whose_replies_it_shaped_reads_that_it_was_taken_back_until_they_switch_something(
    study, merge, client_of
):
    giving.give("terminal", merge, "why")
    bert, carl = given_to("bert"), given_to("carl")
    switch_on(bert.person, bert)
    own = Artifact.objects.get(job__arm__person=bert.person)
    projects.agree(member("anna"), may_train=True)

    def told(person: Person) -> list[bool]:
        client = client_of(person)
        pages = [client.get(reverse(name)).content.decode() for name in ("home", "adapters:alignment")]
        return ["given was taken back" in page for page in pages]

    assert told(bert.person) == [True, True]
    page = client_of(bert.person).get(reverse("adapters:alignment")).content.decode()
    assert "Somebody does not share merges with their adapter any more. So your version" in page
    assert told(carl.person) == [False, False]  # it never acted; the account page tells of it
    switch_on(bert.person, own)
    assert told(bert.person) == [False, False]


def test_a_worker_looks_at_everybodys_consent_again(study, merge):
    job = giving.give("terminal", merge, "why")[0]
    giving.check_agreed(job)
    giving.check_agreed(merge.job)
    Membership.objects.filter(person__email="bert@example.org").update(shares=False)
    with pytest.raises(AlignError, match="does not let it be given"):
        giving.check_agreed(job)


def test_the_form_says_it_and_training_is_needed_for_it(project, owner, client_of):
    studied.annotator(project, "anna", may_train=False)
    client, url = client_of(member("anna").person), reverse("annotation:consent", args=[project.id])
    assert "may be given to other members who tick this too" in client.get(url).content.decode()
    for said, ticks in (
        ({"shares": "on"}, (False, False)),
        ({"shares": "on", "may_train": "on"}, (True, True)),
        ({"may_train": "on"}, (True, False)),
    ):
        told = client.post(url, said, follow=True).content.decode()
        anna = member("anna")
        assert (anna.may_train, anna.shares) == ticks
    assert "No merge with your adapter acts for anybody any more" in told
    told = client.post(url, {}, follow=True).content.decode()
    assert "What was learned from you and others together is deleted" in told
    assert "Taken back" not in client.post(url, {}, follow=True).content.decode()


def test_the_panel_the_terminal_and_the_api_do_it(study, merge):
    operator = signed_in_with("operator", Person.objects.create_user("me@example.org", "a long pass phrase"))
    url, give = (reverse(f"panel:{name}", args=[merge.pk]) for name in ("adapter", "give"))
    page = operator.get(url).content.decode()
    assert "The adapters of 2 people are in it." in page
    assert "Make a version for each of 3 members" in page
    assert reverse("panel:adapter_act", args=[merge.pk, "promote"]) not in page  # nobody chats as the group
    assert operator.post(give, {"reason": ""}).status_code == 400
    assert operator.post(give, {"reason": "they asked"}).status_code == 302
    page = operator.get(url).content.decode()
    assert str(member("carl").person) in page
    assert "has it already" in page
    Given.objects.all().delete()
    out = StringIO()
    call_command("adapters", "give", str(merge.pk), "--reason", "why", "--json", stdout=out)
    assert len(json.loads(out.getvalue())) == 3
    with pytest.raises(CommandError, match="has it already"):
        call_command("adapters", "give", str(merge.pk), "--reason", "why")
    Given.objects.all().delete()
    made = operators_program().ask(f"artifacts/{merge.pk}/give", {"reason": "why"}).json()["jobs"]
    assert {job["method"] for job in made} == {"merge"}
    assert len(made) == 3
    given = given_to("anna")
    page = operator.get(reverse("panel:adapter", args=[given.pk])).content.decode()
    assert "Give it to members" not in page
