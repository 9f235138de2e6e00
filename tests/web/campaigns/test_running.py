"""Campaigns: planned, begun wave by wave, stopped by their rule, resumed, and nobody is done twice."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from alignapp.accounts.consent import withdraw_consent
from alignapp.accounts.models import Person
from alignapp.adapters import services
from alignapp.adapters.models import Artifact, Job, KnownModel
from alignapp.audit.models import AuditEvent
from alignapp.campaigns import outcomes, planning, running
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.panel.models import Worker
from personalization.errors import AlignError
from personalization.statistics import Estimate
from tests.web import learned
from tests.web.campaigned import begin, open_jobs, people, states, through, tick, wanted

pytestmark = pytest.mark.django_db
Of = Enrolment.State


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
    first = Enrolment.objects.first()
    assert (first.before, first.after, first.after_low) == pytest.approx((0.675, 0.675, 0.52))


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


def test_what_its_rule_stops_when_everybody_is_through_ends_and_says_why():
    people(2)
    campaign = tick(begin())
    for job in open_jobs(campaign):
        through(job, rate=0.3)
    tick(campaign)
    assert (campaign.state, states(campaign)) == ("done", {Of.LOST: 2})
    assert "100% of 2 people lost more" in campaign.reason
    assert campaign.finished_at
    verbs = list(AuditEvent.objects.filter(object_id=str(campaign.pk)).values_list("verb", flat=True))
    assert sorted(verbs) == ["campaign.done", "campaign.started", "campaign.stopped"]
    assert not Campaign.open_ones().exists()
    begin()  # nothing stands in the way of the next one


def test_a_campaign_that_is_held_ends_when_the_last_job_under_way_does():
    people(2)
    campaign = tick(begin())
    running_one, waiting_one = open_jobs(campaign)
    Job.claim(running_one.pk, "worker")
    running.pause("terminal", campaign, "look")
    tick(campaign)
    waiting_one.enrolment.person.delete()  # whoever waited for a wave leaves meanwhile
    through(Job.objects.get(pk=running_one.pk))
    tick(campaign)
    assert (campaign.state, campaign.reason, states(campaign)) == ("done", "", {Of.MOVED: 1})


def test_a_campaign_that_stopped_before_it_could_end_is_ended_by_the_clock():
    people(2)
    campaign = tick(begin())
    assert campaign in Campaign.open_ones()
    campaign.enrolments.update(state=Of.LOST, settled_at=timezone.now())
    Campaign.objects.update(state="stopped", reason="100% of 2 people lost more.")
    assert campaign in Campaign.open_ones()
    assert (tick(campaign).state, campaign.reason) == ("done", "100% of 2 people lost more.")
    assert not Campaign.open_ones().exists()


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


def test_a_wave_has_its_outcomes_and_the_mean_change_of_whom_both_rates_are_known():
    rates = [(1, "moved", 0.5, 0.6), (1, "moved", 0.5, 0.7), (1, "lost", 0.6, 0.5), (1, "failed", 0.6, None),
             (2, "moved", 0.5, 0.75), (3, "learning", None, None), (0, "waiting", 0.5, None)]  # fmt: skip
    campaign = Campaign.objects.create(name="Anew", method="dpo", started_by="terminal", wave=3)
    for i, (wave, state, before, after) in enumerate(rates):
        person = Person.objects.create(email=f"w{i}@example.org")
        campaign.enrolments.create(person=person, wave=wave, state=state, before=before, after=after)
    first, second, third = outcomes.waves_of(campaign, 5)
    assert (first.people, first.counts) == (4, {"moved": 2, "lost": 1, "failed": 1})
    assert first.change is not None
    assert (first.change.n, first.change.value) == (3, pytest.approx(0.2 / 3))
    half = 4.302653 * np.std([0.1, 0.2, -0.1], ddof=1) / np.sqrt(3)  # Student's t of two degrees of freedom
    assert first.change.high - first.change.value == pytest.approx(half)
    assert second.change == Estimate(0.25, 1, -math.inf, math.inf)
    assert (third.number, third.change) == (3, None)
    assert [wave.number for wave in outcomes.waves_of(campaign, 2)] == [2, 3]
