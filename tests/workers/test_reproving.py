"""A version is proven again: by what was said since, or as a copy for another base model."""

from __future__ import annotations

import pytest

from alignapp.adapters import acts, services, store
from alignapp.adapters.models import PROVE, Artifact, Job
from alignapp.adapters.proofs import start_proof
from alignapp.campaigns import running
from alignapp.campaigns.models import Campaign
from alignapp.chat.models import Conversation
from personalization.errors import AlignError
from tests import tiny
from tests.gates import gate, gate_of
from tests.workers.test_jobs import person_with_pairs
from tests.workers.test_merging import made_by, parent
from workers import reproving
from workers.engines import base_for_process
from workers.tasks.train import run_job

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]
UNSAFE = gate(0.5, 0.1, 0.9, 0.9).as_dict()


@pytest.fixture
def proven(engine) -> Artifact:
    """Return somebody's version that three of six conversations taught, with a card that has no numbers."""
    person = person_with_pairs("again@example.org", conversations=6)
    names = sorted(str(c.pk) for c in Conversation.objects.for_person(person))
    return parent(person, 1, {"seed": 1, "train": names[:3], "held_out": names[3:4]})


def run(artifact: Artifact, reason: str = "the margins are others") -> Job:
    job = start_proof("terminal", artifact, reason)
    run_job(str(job.id))
    job.refresh_from_db()
    return job


def test_what_was_said_since_counts_and_a_campaign_hears_of_it(proven):
    campaign = Campaign.objects.create(name="Anew", method="dpo", started_by="terminal")
    through = {"state": "moved", "after": 0.9, "settled_at": proven.created_at}
    enrolment = campaign.enrolments.create(person=proven.person, job=proven.job, wave=1, **through)
    before = proven.report_card.proved_at
    job = run(proven)
    assert (job.method, job.state, job.reason) == (PROVE, Job.State.DONE, "")
    proven.refresh_from_db()
    card = proven.report_card
    assert card.proved_at > before
    assert len(job.split["held_out"]) == 3  # of which two came after it was learned
    assert card.results["n_conversations"] == 3
    assert not set(job.split["held_out"]) & set(proven.job.split["train"])
    assert proven.state == proven.state_by_card
    enrolment.refresh_from_db()
    assert enrolment.after == card.results["accuracy"]["artifact"]["value"]
    assert Artifact.objects.count() == 1


def test_how_strongly_it_may_act_at_most_is_asked_again_by_the_gate_of_today(proven, monkeypatch):
    assert proven.most_strength == 1.0  # nobody asked about more
    for fall, most in ((0.05, 1.5), (0.08, 1.0)):

        def gate(base, interventions, row, *_, fall=fall):
            return gate_of(-fall * row.adapters[0][1])

        monkeypatch.setattr("personalization.evaluation.report.measure_safety", gate)
        assert run(proven).state == Job.State.DONE
        assert Artifact.objects.get(pk=proven.pk).most_strength == most


def judged_as(verdict: dict):
    """Return a proof that is quick: the first test makes a real one."""

    def prove(evidence, artifact):
        artifact.judge(proven=True, verdict="Proven: it is.", results={"safety": verdict})

    return prove


def test_on_another_base_model_a_copy_is_proven_and_the_first_one_stays(proven, monkeypatch):
    monkeypatch.setattr(reproving, "prove", judged_as(gate(0.5, 0.5, 0.9, 0.9).as_dict()))
    Artifact.objects.filter(pk=proven.pk).delete()
    old = made_by(proven.job, 1, model_revision="before@1")
    job = run(old, "the base model is a newer one")
    assert (job.state, job.reason) == (Job.State.DONE, "")
    made = Artifact.objects.get(job=job)
    assert (made.model_revision, list(made.parents.all())) == (base_for_process().revision, [old])
    manifest = store.check(made)
    assert (manifest["parents"], manifest["records"]) == ([old.digest], ["r1"])
    weights = [store.folder_of(each) / "adapter_model.safetensors" for each in (old, made)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert made.state == Artifact.State.PROVEN
    old.refresh_from_db()
    assert old.state == Artifact.State.PROVEN


def test_what_does_not_fit_the_other_base_model_is_told_and_nothing_is_made(proven):
    Artifact.objects.filter(pk=proven.pk).delete()
    old = made_by(proven.job, 1, model_revision="before@1", shape=tiny.config(hidden_size=2 * tiny.HIDDEN))
    job = run(old)
    assert job.state == Job.State.DEAD
    assert "fit" in job.reason
    assert list(Artifact.objects.all()) == [old]


def test_one_that_acts_and_is_found_unsafe_makes_way_for_the_version_before(proven, monkeypatch):
    first = made_by(Job.objects.create(person=proven.person, method="ipo", state=Job.State.DONE), 2)
    for artifact in (first, proven):
        services.switch_on(proven.person, artifact)
    monkeypatch.setattr(reproving, "prove", judged_as(UNSAFE))
    assert run(proven).state == Job.State.DONE
    proven.refresh_from_db()
    assert proven.state == Artifact.State.QUARANTINED
    assert services.current_alignment(proven.person).adapter == first
    with pytest.raises(AlignError, match="safety gate objects"):
        acts.restore("terminal", proven, "all the same")


@pytest.mark.parametrize(
    ("verdict", "state"), [(gate(0.5, 0.5, 0.9, 0.9).as_dict(), "kept"), (UNSAFE, "refused")]
)
def test_a_campaign_has_what_acts_proven_and_hears_what_came_of_it(proven, monkeypatch, verdict, state):
    services.switch_on(proven.person, proven)
    monkeypatch.setattr(reproving, "prove", judged_as(verdict))
    wanted = Campaign(name="Again", method=PROVE, kind="adapter", most_refused=1.0)
    campaign = running.start("terminal", wanted, "the margins are others")
    running.advance(campaign.pk, "clock")
    job = Job.objects.get(enrolment__campaign=campaign)
    run_job(str(job.id))
    for _ in range(2):  # take in who got through, then end
        running.advance(campaign.pk, "clock")
    campaign.refresh_from_db()
    assert (campaign.state, campaign.enrolments.get().state) == ("done", state)
    assert (services.current_alignment(proven.person).adapter is None) is (state == "refused")


def test_a_proof_needs_a_reason_consent_feedback_of_its_own_and_one_at_a_time(proven):
    with pytest.raises(AlignError, match="Say why"):
        start_proof("terminal", proven, " ")
    with pytest.raises(AlignError, match="no base model"):
        start_proof("terminal", proven, "why", "nowhere@1")
    start_proof("terminal", proven, "why")
    with pytest.raises(AlignError, match="has not ended yet"):
        start_proof("terminal", proven, "why")
    Job.objects.filter(method=PROVE).delete()
    Job.objects.filter(pk=proven.job_id).update(from_project=True)
    proven.job.refresh_from_db()
    with pytest.raises(AlignError, match="a study proves it"):
        start_proof("terminal", proven, "why")
