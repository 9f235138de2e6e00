"""A campaign that proves everybody's version again: nothing is learned; what is unsafe makes way."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.adapters import acts, services
from alignapp.adapters.models import PROVE, Artifact, Job, KnownModel
from alignapp.audit.models import AuditEvent
from alignapp.campaigns import planning, running
from alignapp.campaigns.models import Campaign, Enrolment
from personalization.errors import AlignError
from tests.gates import gate
from tests.web import learned
from tests.web.campaigned import begin, open_jobs, people, states, through, tick, wanted
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
Of = Enrolment.State
AGAIN = {"method": PROVE, "kind": "adapter", "wave_size": 5, "most_lost": 1.0, "most_refused": 1.0}


def proven_again(job: Job, *, rate: float = 0.7, proven: bool = True, safe: bool = True) -> None:
    """End a job as a worker would that proved a version again: its card is another one."""
    artifact = Artifact.objects.get(pk=job.parameters["artifact"])
    card = learned.results() | {"safety": gate(0.5, 0.5 if safe else 0.2, 0.9, 0.9).as_dict()}
    card["accuracy"]["artifact"]["value"] = rate
    artifact.judge(proven=proven and safe, verdict=".", results=card)
    if not safe:
        acts.refuse(artifact, "Not safe.")
    Job.objects.filter(pk=job.pk).update(state="done", phase="finished", finished_at=timezone.now())


def test_everybodys_version_is_proven_again_and_only_what_is_unsafe_makes_way():
    everybody = people(4)
    old = {person.pk: services.current_alignment(person).adapter for person in everybody}
    earlier = learned.artifact(everybody[3])
    services.switch_on(everybody[3], earlier)
    services.switch_on(everybody[3], old[everybody[3].pk])
    campaign = tick(begin(**AGAIN))
    jobs = {job.person_id: job for job in open_jobs(campaign)}
    assert {job.method for job in jobs.values()} == {PROVE}
    assert {pk: job.parameters["artifact"] for pk, job in jobs.items()} == {
        pk: str(artifact.pk) for pk, artifact in old.items()
    }
    good, lost, unproven, unsafe = (jobs[person.pk] for person in everybody)
    proven_again(good)
    proven_again(lost, rate=0.5)
    proven_again(unproven, proven=False)
    proven_again(unsafe, safe=False)
    tick(tick(campaign))
    found = {row.person_id: row for row in campaign.enrolments.all()}
    assert [found[person.pk].state for person in everybody] == [Of.KEPT, Of.LOST, Of.NOT_PROVEN, Of.REFUSED]
    first = found[everybody[0].pk]
    assert (first.before, first.after) == pytest.approx((0.675, 0.7))
    acting = [services.current_alignment(person).adapter for person in everybody]
    assert acting == [*(old[person.pk] for person in everybody[:3]), earlier]
    assert campaign.state == "done"
    assert Artifact.objects.count() == 5  # none was made


def test_it_stops_by_its_rule_and_whoever_it_held_is_proven_by_what_acts_then():
    everybody = people(3)
    campaign = tick(begin(**AGAIN | {"wave_size": 1, "most_refused": 0.2}))
    proven_again(open_jobs(campaign)[0], safe=False)
    tick(campaign)
    assert (campaign.state, states(campaign)) == ("stopped", {Of.REFUSED: 1, Of.WAITING: 2})
    running.resume("terminal", campaign, "we looked at it")
    tick(campaign)
    (job,) = open_jobs(campaign)
    running.pause("terminal", campaign, "look again")
    tick(campaign)
    newer = learned.artifact(job.person)
    services.switch_on(job.person, newer)
    running.resume("terminal", campaign, "go on")
    tick(campaign)
    (other,) = open_jobs(campaign)
    assert other.person == job.person
    assert other.parameters == {"artifact": str(newer.pk)}
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert len(everybody) == 3


def test_the_record_says_that_a_proof_was_asked_for_and_not_that_anything_is_learned():
    (person,) = people(1)
    version = Artifact.objects.get(person=person)
    tick(begin(**AGAIN))
    asked = AuditEvent.objects.get(verb="artifact.proof_asked", subject=person)
    assert (asked.object_id, asked.actor_label, asked.reason) == (str(version.pk), "system", "Campaign Anew")
    assert not AuditEvent.objects.filter(verb="job.started").exists()


def test_who_cannot_be_proven_is_left_out_and_told_why():
    damaged, gone, _fine = people(3)
    Artifact.objects.filter(person=damaged).update(damage="adapter_model.safetensors was changed.")
    campaign = tick(begin(**AGAIN))
    job = Job.objects.get(enrolment__person=gone)
    Artifact.objects.filter(person=gone).delete()
    Job.objects.filter(pk=job.pk).update(state="dead", reason="It was deleted in the meantime.")
    tick(campaign)
    found = {row.person_id: row for row in campaign.enrolments.all()}
    assert (found[damaged.pk].state, found[gone.pk].state) == (Of.SKIPPED, Of.SKIPPED)
    assert "is damaged" in found[damaged.pk].note
    assert "deleted" in found[gone.pk].note


def test_on_another_base_model_the_copies_wait_until_it_answers():
    person, _second = people(2)
    KnownModel.objects.create(spec="/m/new", name="new", revision="new", state="passed", added_by="worker")
    campaign = tick(begin(**AGAIN, base_revision="new"))
    job = Job.objects.get(enrolment__person=person)
    assert (job.base_revision, job.method) == ("new", PROVE)
    through(job)
    tick(campaign)
    assert campaign.enrolments.get(person=person).state == Of.READY


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": ""}, "adapter or vector"),
        ({"kind": "values"}, "adapter or vector"),
        ({"parameters": {"beta": 0.2}}, "no parameter"),
        ({"method": "dpo"}, "by itself what it makes"),
    ],
)
def test_what_cannot_be_is_refused_in_words(changes, words):
    people(1)
    with pytest.raises(AlignError, match=words):
        planning.plan(wanted(**AGAIN | changes))


def test_the_pages_say_what_it_does_and_what_no_pause_brings_back():
    operator = signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))
    people(2)
    fields = {
        "name": "New margins", "method": PROVE, "kind": "adapter", "whom": "active", "wave_size": "2",
        "margin": "10", "most_lost": "30", "most_refused": "20", "switch_on": "on", "parameters": "",
    }  # fmt: skip
    plan = operator.get(reverse("panel:plan_campaign"), fields).content.decode()
    assert "2 people" in plan
    assert "put into quarantine at once" in plan
    start = reverse("panel:start_campaign")
    operator.post(start, {**fields, "reason": "the gate is stricter", "typed": "2"})
    campaign = Campaign.objects.get()
    assert (campaign.method, campaign.kind) == (PROVE, "adapter")
    for job in open_jobs(tick(campaign)):
        proven_again(job)
    tick(campaign)
    page = operator.get(reverse("panel:campaign", args=[campaign.pk])).content.decode()
    assert "Proven again" in page
    assert '<th scope="row">Proven and switched on' not in page
    assert "Whose new version helps" not in page  # there is none
    limit = operator.get(reverse("panel:limit", args=["gate.max_drop"])).content.decode()
    assert f"{reverse('panel:plan_campaign')}?method={PROVE}" in limit
    preselected = operator.get(reverse("panel:plan_campaign"), {"method": PROVE}).content.decode()
    assert "This field is required" not in preselected
    assert f'<option value="{PROVE}" selected>' in preselected


def test_the_terminal_does_the_same():
    people(2)
    out = StringIO()
    call_command("campaigns", "start", PROVE, "--kind", "adapter", "--reason", "why", "--json", stdout=out)
    begun = json.loads(out.getvalue())
    assert (begun["people"], begun["method"], begun["kind"]) == (2, PROVE, "adapter")
