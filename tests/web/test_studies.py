"""Models of a project: whose rows teach, who starts and sees, what is reported, what consent takes back."""

from __future__ import annotations

import json
import random

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from alignapp.accounts.consent import withdraw_consent
from alignapp.accounts.erase import erase
from alignapp.accounts.models import Person
from alignapp.adapters import options, store
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.pages.learning import learn_views
from alignapp.adapters.services import start_job, switch_on
from alignapp.annotation.access import Role
from alignapp.annotation.models import Item, Membership
from alignapp.annotation.services import items, projects
from alignapp.exchange.models import ImportedPerson
from alignapp.studies import records, services, withdrawal
from alignapp.studies.models import Arm, Study
from alignapp.studies.report import MIN_CONVERSATIONS, SIGNIFICANT, outcomes_of, report_of
from personalization.errors import AlignError, NotEnoughData, UnknownName
from personalization.records import Message
from tests.web import learned, studied
from tests.web.learned import methods

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def few_pairs(settings, tmp_path):
    settings.MIN_TRAINING_PAIRS = 4
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"


@pytest.fixture
def project(owner):
    return studied.project_of(owner)


@pytest.fixture
def study(project) -> Study:
    """Anna and Bert have opposite tastes, and Carl answered two items only."""
    methods()
    studied.annotator(project, "anna", studied.LONG)
    studied.annotator(project, "bert", studied.SHORT)
    carl = studied.annotator(project, "carl")
    keep = project.items.order_by("key")[:2]
    carl.person.assignments.exclude(item__in=keep).delete()
    return services.start(project.memberships.get(role=Role.OWNER), "dpo")


def said(project) -> list[records.Answered]:
    people = [one.person_id for one in records.consenting(project)]
    return list(records.answered(project, people))


def made_by(job: Job) -> Artifact:
    """Return a sealed artifact of a job, as a worker would leave it."""
    made = learned.artifact(job.person)
    blank, made.job = made.job, job
    made.save()
    blank.delete()
    Job.objects.filter(pk=job.pk).update(state=Job.State.DONE)
    return made


# --- what is trained on ----------------------------------------------------------------------


def test_only_people_who_agreed_here_and_on_their_account_teach(project):
    anna = studied.annotator(project, "anna")
    studied.annotator(project, "no", may_train=False)
    withdrawn = studied.annotator(project, "withdrawn")
    withdraw_consent(withdrawn.person)
    ticked = studied.annotator(project, "ticked")
    Membership.objects.filter(pk=ticked.pk).update(consented_at=None)
    gone = studied.annotator(project, "gone")
    projects.remove(gone)
    assert {one.person for one in said(project)} == {anna.person_id}
    project.consent_text = "Another text"
    project.save()
    assert said(project) == []  # nobody agreed to that


def test_what_a_file_says_of_consent_counts_for_the_people_that_it_names(project):
    for name, may in (("yes", True), ("no", False)):
        stand_in = Person.objects.create_user(f"{name}@imported.invalid", is_active=False)
        ImportedPerson.objects.create(project=project, name=name, person=stand_in)
        Membership.objects.create(project=project, person=stand_in, role=Role.ANNOTATOR, may_train=may)
        studied.says(project.items.first(), stand_in)
    assert {one.person.imported_as.name for one in records.consenting(project)} == {"yes"}
    assert len(said(project)) == 1


def test_repeats_gold_attention_and_items_that_may_not_be_trained_on_teach_nothing(project):
    member = studied.annotator(project, "anna")
    first = member.person.assignments.earliest("created_at")
    studied.says(first.item, member.person, studied.SHORT, repeat_of=first)
    items.add_items(
        project,
        [
            studied.item("gold", purpose=Item.Purpose.GOLD),
            studied.item("attention", purpose=Item.Purpose.ATTENTION),
            studied.item("private", may_train=False),
        ],
    )
    for one in project.items.filter(key__in=("gold", "attention", "private")):
        studied.says(one, member.person)
    found = said(project)
    assert len(found) == 10
    assert {str(one.item) for one in found} == {
        str(pk) for pk in project.items.filter(key__startswith="item").values_list("pk", flat=True)
    }


def test_a_persons_rows_become_records_as_in_their_own_chat(project):
    member = studied.annotator(project, "anna", rating=(80, 20))
    found = records.records_of(said(project))[member.person_id]
    assert len(found.pairs) == len(found.groups) == 10
    pair = found.pairs[0]
    assert pair.prompt == (Message("user", "Say item 0"),)
    assert (pair.chosen, pair.margin, pair.protocol) == ("item 0 at some length, indeed", 0.6, "pick-1-of-n")
    assert found.groups[0].scores == (80.0, 20.0)
    assert {source for one in found.pairs for source in one.sources} <= {
        str(pk) for pk in member.person.assignments.values_list("submissions__annotations", flat=True)
    }


def test_a_change_of_mind_counts_and_what_it_replaced_does_not(project):
    member = studied.annotator(project, "anna")
    assignment = member.person.assignments.get(item__key="item 3")
    other = next(one for one in assignment.candidates() if one.maker == studied.SHORT)
    from alignapp.annotation.services import answers

    answers.submit(assignment, {"pick-1-of-n": [str(other.id)]})
    pairs = records.records_of(said(project))[member.person_id].pairs
    assert len(pairs) == 10
    assert [one.chosen for one in pairs].count("item 3.") == 1


def test_items_of_one_conversation_are_held_out_together(project):
    project.items.filter(key__in=("item 0", "item 1")).update(extra={"conversation": "c"})
    studied.annotator(project, "anna")
    names = [one.conversation for one in said(project)]
    assert names.count("c") == 2
    assert len(set(names)) == 9


# --- the mean of people ----------------------------------------------------------------------


def test_of_picks_the_majority_decides_and_its_size_is_the_margin(project):
    for name, likes in (("a", studied.LONG), ("b", studied.LONG), ("c", studied.SHORT)):
        studied.annotator(project, name, likes)
    mean = records.mean_of_people(said(project))
    assert len(mean.pairs) == 10
    assert {round(one.margin, 6) for one in mean.pairs} == {round(1 / 3, 6)}
    assert all(one.chosen.endswith("indeed") for one in mean.pairs)
    assert len(mean.pairs[0].sources) == 3
    assert mean.groups == ()


def test_a_split_vote_is_a_tie_and_teaches_the_group_nothing(project):
    studied.annotator(project, "a", studied.LONG)
    studied.annotator(project, "b", studied.SHORT)
    mean = records.mean_of_people(said(project))
    assert (mean.pairs, mean.ties) == ((), 10)


def test_nobody_outvotes_others_by_using_the_slider_widely(project):
    # Two use a narrow part of the slider, one all of it: raw means would follow the one.
    studied.annotator(project, "a", studied.LONG, rating=(56, 44), pick=False)
    studied.annotator(project, "b", studied.LONG, rating=(60, 50), pick=False)
    studied.annotator(project, "c", studied.SHORT, rating=(100, 1), pick=False)
    mean = records.mean_of_people(said(project))
    assert all(one.chosen.endswith("indeed") for one in mean.pairs)
    # Everybody's two values are one deviation from their mean: 25 points of 100 each way.
    assert {round(one.margin, 6) for one in mean.pairs} == {round(0.5 / 3, 6)}
    assert {tuple(round(score, 3) for score in one.scores) for one in mean.groups} == {
        (round(50 + 25 / 3, 3), round(50 - 25 / 3, 3))
    }


def test_the_scale_is_read_from_what_is_learned_from_only(project):
    member = studied.annotator(project, "a", rating=(60, 40), pick=False)
    assignment = member.person.assignments.get(item__key="item 0")
    assignment.submissions.get().annotations.filter(kind="rating").update(score=100)
    found = said(project)
    held_out = next(one.conversation for one in found if one.prompt[0].content == "Say item 0")
    learned_from = {one.conversation for one in found} - {held_out}
    mean = records.mean_of_people(found, scale_on=learned_from)
    assert {one.margin for one in mean.pairs} == {0.5}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 100), min_size=3, max_size=3), min_size=1, max_size=4), st.randoms())
def test_the_mean_is_the_same_whoever_is_asked_first_and_whatever_scale_each_uses(ratings, order):
    import uuid
    from types import SimpleNamespace

    candidates = tuple(SimpleNamespace(id=uuid.UUID(int=n), text=f"t{n}") for n in range(3))

    def person(number, scores):
        words = tuple(
            records.Word(uuid.uuid4(), "rating", "slider-1-100", one.id, float(score), None, None, "")
            for one, score in zip(candidates, scores, strict=True)
        )
        return records.Answered(
            uuid.UUID(int=number), uuid.UUID(int=9), "c", (Message("user", "?"),), candidates, words
        )

    people = [person(n, scores) for n, scores in enumerate(ratings)]
    wider = [person(n, [10 + 0.5 * score for score in scores]) for n, scores in enumerate(ratings)]
    shuffled = list(people)
    order.shuffle(shuffled)

    def told(found):
        mean = records.mean_of_people(found)
        return {(one.chosen, one.rejected): pytest.approx(one.margin) for one in mean.pairs}

    assert told(shuffled) == told(people) == told(wider)


# --- starting --------------------------------------------------------------------------------


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


# --- whose it is -----------------------------------------------------------------------------


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


# --- the report ------------------------------------------------------------------------------


def scored(arm: Arm, right: list[tuple[float, float, float]], items: int | None = None) -> None:
    """Give an arm scores: each comparison's base, group and own, spread over so many items."""
    count = items or len(right)
    arm.group_scores = {f"k{i}": [f"c{i % count}", base, group] for i, (base, group, _) in enumerate(right)}
    arm.own_scores = {f"k{i}": [f"c{i % count}", base, own] for i, (base, _, own) in enumerate(right)}
    arm.save()


def test_the_report_says_for_whom_their_own_adapter_beats_the_groups(study):
    arms = {arm.person.email.split("@")[0]: arm for arm in study.arms.select_related("person")}
    random.seed(0)
    scored(arms["anna"], [(0.5, 0.0, 1.0)] * 18 + [(0.5, 1.0, 0.0)] * 2)
    scored(arms["bert"], [(0.5, float(i % 2), float((i // 2) % 2)) for i in range(20)])
    scored(arms["carl"], [(0.5, 0.0, 1.0)] * 3)
    found = report_of(list(study.arms.select_related("person")))
    by_person = {one.person: one for one in found.people}
    verdicts = {name: by_person[str(arm.person)].verdict for name, arm in arms.items()}
    assert verdicts == {"anna": "own", "bert": "open", "carl": "few"}
    anna = by_person[str(arms["anna"].person)]
    assert anna.accuracy["own"].value == pytest.approx(0.9)
    assert anna.accuracy["group"].value == pytest.approx(0.1)
    assert anna.difference.value == pytest.approx(0.8)
    assert 0 < anna.difference.low < 0.8 < anna.difference.high <= 1
    assert found.overall is not None
    assert found.overall.n == 43
    assert "learning each of them alone pays" in found.words[0]
    assert "all 3 asked together: their own is better for 1" in found.words[2]


def test_comparisons_of_one_item_are_one_observation_and_one_item_says_nothing(study):
    arm = study.arms.first()
    scored(arm, [(0.5, 0.0, 1.0)] * 30, items=1)
    (one,) = report_of([arm]).people
    assert one.verdict == "few"
    assert one.as_dict()["own_minus_group"]["low"] is None
    assert json.dumps(one.as_dict())


def test_only_comparisons_that_both_adapters_were_asked_about_count(study):
    arm = study.arms.first()
    arm.group_scores = {"a": ["c", 1, 1], "b": ["c", 1, 0]}
    arm.own_scores = {"b": ["c", 1, 1], "z": ["d", 0, 0]}
    assert [(one.group, one.own) for one in outcomes_of(arm)] == [(0.0, 1.0)]
    assert report_of([]).overall is None


def test_as_many_items_are_needed_as_can_decide_anything(study):
    arm = study.arms.first()
    for count, verdict in ((MIN_CONVERSATIONS - 1, "few"), (MIN_CONVERSATIONS, "own")):
        scored(arm, [(0.5, 0.0, 1.0)] * count)
        (one,) = report_of([arm]).people
        assert one.verdict == verdict
        assert (2 / 2**count < SIGNIFICANT) == (verdict == "own")
        assert one.as_dict()["own_minus_group"]["low"] is None  # alike items give no interval


# --- pages -----------------------------------------------------------------------------------


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
