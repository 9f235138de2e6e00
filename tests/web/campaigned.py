"""People with adapters, campaigns among them, and what a worker does of their jobs."""

from __future__ import annotations

from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.adapters import services
from alignapp.adapters.models import Artifact, Job
from alignapp.campaigns import running
from alignapp.campaigns.models import Campaign
from tests.gates import gate
from tests.web import learned


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
