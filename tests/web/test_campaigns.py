"""Campaigns: planned, begun wave by wave, stopped by their rule, resumed, and nobody is done twice."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.consent import withdraw_consent
from alignapp.accounts.models import Person
from alignapp.adapters import services
from alignapp.adapters.models import Artifact, Job, KnownModel
from alignapp.audit.models import AuditEvent
from alignapp.campaigns import planning, running
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.panel.models import Worker
from personalization.errors import AlignError
from tests.gates import gate
from tests.web import learned
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
Of = Enrolment.State


@pytest.fixture(autouse=True)
def surroundings(settings, tmp_path):
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    learned.methods()


@pytest.fixture
def operator():
    return signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))


def people(count: int) -> list[Person]:
    """Return people with enough feedback and an adapter that is switched on."""
    made = []
    for i in range(count):
        person = Person.objects.create_user(f"p{i}@example.org", "a long pass phrase")
        learned.ready(person, conversations=6)
        artifact = learned.artifact(person)
        Job.objects.filter(pk=artifact.job_id).update(split={"seed": 1, "train": ["t"], "held_out": ["h"]})
        services.switch_on(person, artifact)
        made.append(person)
    return made


def wanted(**changes) -> Campaign:
    return Campaign(**{"name": "Anew", "method": "dpo", "wave_size": 2, **changes})


def begin(**changes) -> Campaign:
    return running.start("terminal", wanted(**changes), "a better recipe")


def tick(campaign: Campaign) -> Campaign:
    running.advance(campaign.pk, "clock")
    campaign.refresh_from_db()
    return campaign


def through(job: Job, *, rate: float = 0.675, proven: bool = True, safe: bool = True) -> Artifact:
    """End a job as a worker would that learned and proved."""
    Job.objects.filter(pk=job.pk).update(state="done", phase="finished", finished_at=timezone.now())
    job.refresh_from_db()
    artifact = Artifact.of_job(
        job, kind="adapter", digest=job.pk.hex * 2, size_bytes=2**20, model_revision="smol@1", summary={}
    )
    safety = gate(0.5, 0.5 if safe else 0.2, 0.9, 0.9).as_dict()
    card = learned.results() | {"safety": safety}
    card["accuracy"]["artifact"]["value"] = rate
    artifact.judge(proven=proven and safe, verdict=".", results=card)
    return artifact


def open_jobs(campaign: Campaign) -> list[Job]:
    return list(Job.objects.filter(enrolment__campaign=campaign, state="queued").order_by("created_at"))


def states(campaign: Campaign) -> dict[str, int]:
    found = list(campaign.enrolments.values_list("state", flat=True))
    return {state: found.count(state) for state in found}


def test_a_plan_counts_people_minutes_and_bytes_and_changes_nothing():
    everybody = people(3)
    withdraw_consent(everybody[0])
    now = timezone.now()
    Job.objects.update(started_at=now - timedelta(seconds=90), finished_at=now)
    plan = planning.plan(wanted())
    assert (plan.people, plan.left_out, plan.waves, plan.workers) == (2, 1, 1, 0)
    assert plan.minutes == pytest.approx(3.0)
    assert plan.size_bytes == pytest.approx(2 * Artifact.objects.first().size_bytes, rel=0.01)
    assert "-Q train" in plan.start_worker
    assert not Campaign.objects.exists()
    Worker.beat("training@here", queues=["train"], pid=1, started_at=now)
    assert planning.plan(wanted()).workers == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "dpo2"}, "Did you mean dpo"),
        ({"parameters": {"beta": 9.0}}, "beta is 9"),
        ({"parameters": {"alpha": 1.0}}, "no parameter of dpo"),
        ({"wave_size": 0}, "wave size"),
        ({"margin": 1.5}, "margin"),
        ({"base_revision": "nowhere"}, "no base model that passed"),
        ({"name": " "}, "name"),
    ],
)
def test_what_cannot_be_is_refused_in_words(changes, words):
    people(1)
    with pytest.raises(AlignError, match=words):
        begin(**changes)
    assert not Campaign.objects.exists()


def test_waves_follow_each_other_behind_peoples_own_jobs_and_prove_on_the_same_conversations():
    everybody = people(3)
    campaign = tick(begin())
    assert states(campaign) == {Of.LEARNING: 2, Of.WAITING: 1}
    jobs = open_jobs(campaign)
    assert {(job.priority, job.state, job.base_revision) for job in jobs} == {(-5, "queued", "")}
    assert jobs[0].split == {"held_out": ["h"]}
    own = services.start_job(everybody[0], "steer")
    assert Job.next_one(jobs[0].pk) == own.pk
    own.cancel()
    assert len(open_jobs(tick(campaign))) == 2  # the same message again begins nobody
    for job in jobs:
        through(job)
    tick(campaign)
    assert states(campaign) == {Of.MOVED: 2, Of.LEARNING: 1}
    through(open_jobs(campaign)[0])
    tick(tick(campaign))
    assert (campaign.state, campaign.wave, states(campaign)) == ("done", 2, {Of.MOVED: 3})
    for person in everybody:
        assert services.current_alignment(person).adapter.job.enrolment.campaign == campaign
    assert Enrolment.objects.first().before == pytest.approx(0.675)


def test_the_old_version_stays_unless_the_new_one_is_proven_and_loses_nothing():
    everybody = people(5)
    campaign = tick(begin(wave_size=5, most_lost=1.0, most_refused=1.0))
    jobs = {job.person_id: job for job in open_jobs(campaign)}
    old = {person.pk: services.current_alignment(person).adapter for person in everybody}
    good, lost, unproven, unsafe, dead = (jobs[person.pk] for person in everybody)
    services.switch(everybody[0], change="less", adapter_strength=0.4)
    through(good)
    through(lost, rate=0.5)
    through(unproven, proven=False)
    through(unsafe, safe=False)
    Job.objects.filter(pk=dead.pk).update(state="dead", reason="Attempt 3 failed: words of somebody")
    tick(campaign)
    found = {row.person_id: row for row in campaign.enrolments.all()}
    outcomes = [found[person.pk].state for person in everybody]
    assert outcomes == [Of.MOVED, Of.LOST, Of.NOT_PROVEN, Of.REFUSED, Of.FAILED]
    assert found[everybody[4].pk].note == "Attempt 3 failed"
    first = services.current_alignment(everybody[0])
    assert (first.adapter.job, first.adapter_strength) == (good, 0.4)
    for person in everybody[1:]:
        assert services.current_alignment(person).adapter == old[person.pk]


def test_whoever_switched_meanwhile_or_has_nothing_on_is_left_alone():
    first, second = people(2)
    campaign = tick(begin(whom="in_service"))
    jobs = {job.person_id: job for job in open_jobs(campaign)}
    services.switch(first, change="off", adapter=None)
    another = learned.artifact(second)
    services.switch_on(second, another)
    for job in jobs.values():
        through(job)
    tick(campaign)
    assert states(campaign) == {Of.READY: 2}
    assert services.current_alignment(first).adapter is None
    assert services.current_alignment(second).adapter == another


@pytest.mark.parametrize(("end", "words"), [({"rate": 0.4}, "lost more"), ({"safe": False}, "refused")])
def test_it_stops_by_its_rule_and_goes_on_when_resumed(end, words):
    people(4)
    campaign = tick(begin())
    for job in open_jobs(campaign):
        through(job, **end)
    tick(campaign)
    assert (campaign.state, campaign.wave) == ("stopped", 1)
    assert words in campaign.reason
    assert "100%" in campaign.reason
    assert states(tick(campaign))[Of.WAITING] == 2
    assert AuditEvent.objects.filter(verb="campaign.stopped", actor_label="system").count() == 1
    running.resume("terminal", campaign, "we looked at them")
    assert states(tick(campaign))[Of.LEARNING] == 2  # who got through before does not stop it again


def test_a_rule_stops_within_a_wave_and_takes_back_what_nobody_began():
    people(7)
    campaign = tick(begin(wave_size=7))
    jobs = open_jobs(campaign)
    for job in jobs[:5]:
        through(job, rate=0.3)
    running_one = Job.claim(jobs[5].pk, "worker")
    tick(tick(campaign))
    assert campaign.state == "stopped"
    assert states(campaign) == {Of.LOST: 5, Of.LEARNING: 1, Of.WAITING: 1}
    jobs[6].refresh_from_db()
    assert jobs[6].state == "cancelled"
    through(running_one)
    assert states(tick(campaign)) == {Of.LOST: 5, Of.MOVED: 1, Of.WAITING: 1}
    running.resume("terminal", campaign, "go on")
    tick(campaign)
    jobs[6].refresh_from_db()
    assert (jobs[6].state, jobs[6].enrolment.state) == ("queued", Of.LEARNING)  # the same job, put back


def test_an_open_job_of_their_own_is_waited_for_and_a_wish_is_not_kept_waiting():
    person, _other = people(2)
    own = services.start_job(person, "dpo")
    campaign = tick(begin())
    assert states(campaign) == {Of.WAITING: 1, Of.LEARNING: 1}
    own.cancel()
    for job in open_jobs(campaign):
        through(job)
    tick(campaign)
    mine = Job.objects.get(enrolment__person=person)
    assert services.start_job(person, "dpo") == mine
    mine.refresh_from_db()
    assert mine.priority == 0


def test_a_job_that_was_taken_back_and_tried_again_by_its_person_counts():
    people(1)
    campaign = tick(begin())
    (job,) = open_jobs(campaign)
    running.pause("terminal", campaign, "look")
    tick(campaign)
    job.refresh_from_db()
    job.put_back()
    through(job)
    running.resume("terminal", campaign, "go on")
    tick(tick(campaign))
    assert states(tick(campaign)) == {Of.MOVED: 1}
    assert campaign.state == "done"


def test_consent_deletion_and_cancelling_end_in_words_not_in_errors():
    first, second, third, _fourth = people(4)
    campaign = tick(begin(wave_size=3))
    jobs = {job.person_id: job for job in open_jobs(campaign)}
    withdraw_consent(first)
    jobs[second.pk].delete()
    third.delete()
    tick(campaign)
    skipped = campaign.enrolments.filter(state=Of.SKIPPED)
    assert sorted(skipped.values_list("note", flat=True)) == [
        "The job was cancelled. You stopped it.",
        "What was learned was deleted.",
    ]
    running.cancel("terminal", tick(campaign), "enough")
    tick(campaign)
    assert (campaign.state, states(campaign)) == ("cancelled", {Of.SKIPPED: 3})
    with pytest.raises(AlignError, match="cannot be done"):
        running.resume("terminal", campaign, "after all")


def test_a_campaigns_jobs_do_not_use_up_what_a_person_may_start(settings):
    settings.JOBS_PER_DAY = 1
    Job.objects.update(created_at=timezone.now() - timedelta(days=2))
    (person,) = people(1)
    Job.objects.update(created_at=timezone.now() - timedelta(days=2))
    tick(begin())
    assert services.start_job(person, "steer").method == "steer"


def test_jobs_for_another_base_model_wait_for_its_worker_and_switch_nothing_on():
    person, _second = people(2)
    KnownModel.objects.create(spec="/m/new", name="new", revision="new", state="passed", added_by="worker")
    plan = planning.plan(wanted(base_revision="new"))
    assert plan.start_worker.startswith("ALIGN_MODEL=/m/new ")
    campaign = tick(begin(base_revision="new"))
    job = Job.objects.get(enrolment__person=person)
    assert job.base_revision == "new"
    assert Job.next_one(job.pk) is None  # no worker of the model that answers takes it
    assert Job.next_one(job.pk, "new") == job.pk
    own = services.start_job(person, "dpo")  # and it keeps nobody from learning for that
    assert own != job
    through(job)
    tick(campaign)
    assert campaign.enrolments.get(person=person).state == Of.READY
    assert services.current_alignment(person).adapter.job != job


def test_no_order_of_events_does_anybody_twice():
    """Walk at random through ticks, pauses and ends of jobs: everybody gets one job that ended, no second."""
    everybody = people(5)
    for seed in range(3):
        draw = random.Random(seed)
        campaign = begin(wave_size=2, most_lost=1.0, most_refused=1.0)
        for _ in range(60):
            act = draw.choice(("tick", "tick", "pause", "resume", "end", "end"))
            waiting = open_jobs(campaign)
            if act == "tick":
                tick(campaign)
            elif act == "end" and waiting:
                through(waiting[0], rate=draw.choice((0.4, 0.675)), safe=draw.random() < 0.8)
            elif act == "pause" and campaign.state == "running":
                running.pause("terminal", campaign, "look")
            elif act == "resume" and campaign.state == "paused":
                running.resume("terminal", campaign, "go on")
        if campaign.state == "paused":
            running.resume("terminal", campaign, "go on")
        while tick(campaign).state != "done":
            for job in open_jobs(campaign):
                through(job)
        jobs = Job.objects.filter(enrolment__campaign=campaign)
        assert sorted(jobs.values_list("person", flat=True)) == sorted(person.pk for person in everybody)
        assert set(jobs.values_list("state", flat=True)) == {"done"}
        assert Job.objects.exclude(state="done").count() == 0


def test_an_operator_plans_starts_pauses_and_resumes_on_the_pages(operator):
    people(3)
    plan = reverse("panel:plan_campaign")
    assert "Say what it would do" in operator.get(plan).content.decode()
    fields = {
        "name": "Autumn", "method": "dpo", "whom": "active", "wave_size": "2", "margin": "10",
        "most_lost": "30", "most_refused": "20", "switch_on": "on", "parameters": "beta=0.2",
    }  # fmt: skip
    wrong = operator.get(plan, {**fields, "parameters": "beta"}).content.decode()
    assert "beta is no name=number." in wrong
    assert "3 people" in operator.get(plan, fields).content.decode()
    start = reverse("panel:start_campaign")
    refused = operator.post(start, {**fields, "reason": "colder days", "typed": "2"})
    assert refused.status_code == 400
    assert 'value="colder days"' in refused.content.decode()
    page = operator.post(start, {**fields, "reason": "colder days", "typed": "3"}, follow=True)
    campaign = Campaign.objects.get()
    assert (campaign.parameters, campaign.margin, campaign.switch_on) == ({"beta": 0.2}, 0.1, True)
    assert "the first wave begins" in page.content.decode()
    for job in open_jobs(tick(campaign)):
        through(job, rate=0.7)
    tick(campaign)
    one = reverse("panel:campaign", args=[campaign.pk])
    text = operator.get(one).content.decode()
    assert "2 of 3 people are through" in text
    assert "Change of the win rate, points" in text
    part = operator.get(one, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith("<section")
    act = {name: reverse("panel:act_on_campaign", args=[campaign.pk, name]) for name in running.BY_NAME}
    assert operator.post(act["pause"], {"reason": ""}).status_code == 400
    paused = operator.post(act["pause"], {"reason": "look"}, follow=True).content.decode()
    assert "Undo" in paused
    assert operator.post(act["pause"], {"reason": "look"}).status_code == 400
    operator.post(act["resume"], {"reason": "fine"})
    assert operator.post(act["cancel"], {"reason": "end", "typed": "Winter"}).status_code == 400
    operator.post(act["cancel"], {"reason": "end", "typed": "Autumn"})
    campaign.refresh_from_db()
    assert campaign.state == "cancelled"
    assert campaign in Campaign.open_ones()  # somebody's job was taken back and is not written down yet
    tick(campaign)
    assert campaign not in Campaign.open_ones()
    verbs = AuditEvent.objects.filter(object_id=str(campaign.pk)).values_list("verb", flat=True)
    assert set(verbs) == {f"campaign.{did}" for did in ("started", "paused", "resumed", "cancelled")}
    listed = operator.get(reverse("panel:campaigns")).content.decode()
    assert "2 of 3" not in listed
    assert "3 of 3" in listed


def test_the_pages_cost_the_same_however_many_people(operator, django_assert_max_num_queries):
    everybody = people(1)
    campaign = begin()
    Enrolment.objects.bulk_create(
        Enrolment(campaign=campaign, person=p, wave=i % 9, state=Of.MOVED, before=0.5, after=0.6)
        for i, p in enumerate(
            Person.objects.bulk_create(Person(email=f"q{i}@example.org") for i in range(70))
        )
    )
    assert everybody
    with django_assert_max_num_queries(20):
        page = operator.get(reverse("panel:campaign", args=[campaign.pk]))
    assert len(page.context["listing"].rows) == 50
    with django_assert_max_num_queries(10):
        operator.get(reverse("panel:campaigns"))


def test_the_terminal_does_the_same():
    people(2)

    def told(*arguments: str) -> object:
        out = StringIO()
        call_command("campaigns", *arguments, "--json", stdout=out)
        return json.loads(out.getvalue())

    assert told("plan", "dpo", "--wave", "1")["waves"] == 2
    begun = told("start", "dpo", "--wave", "1", "--set", "beta=0.2", "--reason", "why")
    assert (begun["people"], begun["parameters"]) == (2, {"beta": 0.2})
    with pytest.raises(CommandError, match="open already"):
        told("start", "dpo", "--reason", "why")
    short = begun["id"][:8]
    assert told("pause", short, "--reason", "look")["state"] == "paused"
    assert told("resume", short, "--reason", "on")["state"] == "running"
    assert told("show", short)["outcomes"]["waiting"] == 2
    assert [row["name"] for row in told("list")] == ["dpo"]
    with pytest.raises(CommandError, match="0 campaigns"):
        told("show", "ffffffff")
