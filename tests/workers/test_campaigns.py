"""Campaigns with real workers: resumed half-way, nobody is done twice; jobs for another base model."""

from __future__ import annotations

import pytest

from alignapp.adapters.models import Artifact, Job, KnownModel
from alignapp.adapters.services import current_alignment, start_job, switch_on
from alignapp.campaigns import running
from alignapp.campaigns.models import Campaign, Enrolment
from tests import tiny
from tests.web import learned
from tests.workers.conftest import wait_for, wait_until
from tests.workers.test_jobs import person_with_pairs
from workers import checking, engines
from workers.tasks.campaigns import advance_campaigns, check_model
from workers.tasks.sweep import sweep
from workers.tasks.train import run_job_for_other_base

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]
Of = Enrolment.State


@pytest.fixture(autouse=True)
def few_pairs(settings):
    settings.MIN_TRAINING_PAIRS = 4


def aligned(email: str):
    """Return a person with an adapter that is switched on."""
    person = person_with_pairs(email)
    switch_on(person, learned.artifact(person))
    return person


def begin(**fields) -> Campaign:
    wanted = Campaign(name="Anew", method="dpo", most_lost=1.0, most_refused=1.0, **fields)
    return running.start("terminal", wanted, "a better recipe")


def finished(campaign: Campaign, count: int) -> bool:
    advance_campaigns()
    sweep()
    return campaign.enrolments.exclude(state__in=Enrolment.OPEN).count() >= count


def test_a_campaign_that_is_stopped_half_way_and_resumed_does_nobody_twice(workers):
    people = [aligned(f"c{i}@example.org") for i in range(2)]
    campaign = begin(wave_size=2)
    advance_campaigns()
    worker = workers.start()
    wait_until(lambda: finished(campaign, 1))
    running.pause("terminal", campaign, "look at the first")
    workers.kill(worker)  # in the middle of the second one, or just before
    advance_campaigns()
    through = campaign.enrolments.exclude(state__in=Enrolment.OPEN)
    done = dict(through.values_list("person", "job"))
    running.resume("terminal", campaign, "it is fine")
    workers.start()
    wait_until(lambda: finished(campaign, 2) and (campaign.refresh_from_db(), campaign.has_ended)[-1])
    jobs = Job.objects.filter(enrolment__campaign=campaign)
    assert sorted(jobs.values_list("person", flat=True)) == sorted(person.pk for person in people)
    assert set(jobs.values_list("state", flat=True)) == {"done"}
    assert Artifact.objects.filter(job__in=jobs).count() == 2
    for person_id, job_id in done.items():
        assert campaign.enrolments.get(person=person_id).job_id == job_id
        assert jobs.get(pk=job_id).attempts == 1
    assert set(campaign.enrolments.values_list("state", flat=True)) <= {
        Of.MOVED,
        Of.NOT_PROVEN,
        Of.LOST,
        Of.READY,
    }


@pytest.fixture
def other_base(settings, tmp_path):
    """This process's base model: another one than the registry's default."""
    folder = tmp_path / "other"
    tiny.base().model.save_pretrained(folder)
    tiny.base(tiny.TEMPLATE.replace("You are tiny", "You are new")).tokenizer.save_pretrained(folder)
    settings.ALIGN_MODEL, settings.ALIGN_THREADS = str(folder), 1
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"
    engines._base.cache_clear()
    yield folder
    engines._base.cache_clear()


def test_a_base_model_is_checked_and_people_are_proven_on_it_before_it_answers(other_base):
    learned.methods()
    person, bystander = aligned("new@example.org"), person_with_pairs("old@example.org")
    known = KnownModel.objects.create(spec=str(other_base), name="other", state="queued", added_by="terminal")
    check_model(str(known.pk))
    check_model(str(known.pk))  # the same message again
    known.refresh_from_db()
    assert (known.state, known.reason, known.attempts) == ("passed", "", 1)
    base = engines.base_for_process()
    assert known.revision == base.revision
    checking.register(base)
    assert KnownModel.objects.get() == known  # it was known already
    before = current_alignment(person).adapter
    campaign = begin(base_revision=known.revision)
    advance_campaigns()
    own = start_job(bystander, "dpo")
    job = Job.objects.get(enrolment__person=person)
    run_job_for_other_base(str(own.pk))  # whatever the message names, only jobs for this model are taken
    own.refresh_from_db()
    assert own.state == Job.State.QUEUED
    wait_for(job, Job.State.DONE, seconds=1)
    assert job.artifact.model_revision == known.revision
    assert job.artifact.report_card.is_safe
    advance_campaigns()
    assert campaign.enrolments.get().state in (Of.READY, Of.NOT_PROVEN, Of.LOST)
    assert current_alignment(person).adapter == before
