"""A job learns from the kind of feedback that its method names, and is proven on comparisons."""

from __future__ import annotations

import pytest

from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job, MethodInfo
from alignapp.adapters.models.artifact import MOST_STRENGTH
from alignapp.adapters.services import start_job
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from personalization import artifacts
from personalization.records import Records
from tests.gates import gate_of
from tests.web import learned
from tests.web.rows import answered_turn, conversation_of
from tests.workers.test_jobs import is_sound, person_with_pairs
from tests.workers.test_replies import queued
from workers.proving import prove
from workers.tasks.generate import generate_reply
from workers.tasks.train import run_job
from workers.work import Evidence

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


def test_thumbs_become_an_adapter_that_names_the_rows_behind_it(engine):
    MethodInfo.objects.create(name="kto", data="thumbs", produces="adapter", summary="", paper="")
    person = person_with_pairs("thumbs@example.org")
    judged, thumbs = [], []
    for i in range(16):
        # What was asked here was asked nowhere else, so none of it is held out.
        turn, (reply,) = answered_turn(conversation_of(person), f"Answer {i}", text=f"Question {i}?")
        thumbs.append(
            record_feedback(person, turn, Feedback.Kind.THUMB, reply=reply, thumb=1 if i % 2 else -1)
        )
        judged.append(str(turn.conversation_id))
    job = start_job(person, "kto")
    run_job(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    is_sound(job)
    assert set(judged) <= set(job.split["train"])
    artifact = Artifact.objects.get(job=job)
    assert artifact.summary["examples"] == 16
    sources = artifacts.untouched(store.folder_of(artifact))["records"]
    assert {str(thumb.id) for thumb in thumbs} <= set(sources)


def test_what_a_person_types_of_answers_teaches_once_their_comparisons_agree(engine, settings):
    settings.MIN_TRAINING_PAIRS = 4
    MethodInfo.objects.create(name="ilf", data="critiques", produces="adapter", summary="", paper="")
    person = person_with_pairs("words@example.org", conversations=12)
    said = []
    for i in range(6):
        turn, (reply,) = answered_turn(conversation_of(person), f"Yes, {i}.", text=f"Why {i}?")
        kind = Feedback.Kind.CRITIQUE if i % 2 else Feedback.Kind.FOLLOW_UP
        said.append(record_feedback(person, turn, kind, reply=reply, text="Great, I like it a lot."))
    job = start_job(person, "ilf")
    run_job(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    is_sound(job)
    artifact = Artifact.objects.get(job=job)
    sources = artifacts.untouched(store.folder_of(artifact))["records"]
    made = {str(act.id) for act in said} & set(sources)
    assert artifact.summary["pairs_from_them"] == len(made) > 0


def test_words_that_no_comparison_can_check_end_the_job_with_the_reason(engine, settings):
    settings.MIN_TRAINING_PAIRS = 4
    MethodInfo.objects.create(name="ilf", data="critiques", produces="adapter", summary="", paper="")
    person = person_with_pairs("alike@example.org", conversations=6, dislikes="Yes")
    for i in range(6):
        turn, (reply,) = answered_turn(conversation_of(person), f"Yes, {i}.", text=f"Why {i}?")
        record_feedback(person, turn, Feedback.Kind.CRITIQUE, reply=reply, text="Too long.")
    job = start_job(person, "ilf")
    run_job(str(job.id))
    job.refresh_from_db()
    assert not Artifact.objects.filter(job=job).exists()
    assert job.reason.startswith(("Your comparisons do not tell yet", "Your comparisons agree with none"))


@pytest.mark.parametrize("method", ["remax", "ipo_md"])
def test_a_method_that_learns_from_what_the_model_writes_is_judged_by_the_persons_comparisons(
    engine, settings, method
):
    settings.MIN_TRAINING_PAIRS = 4
    MethodInfo.objects.create(name=method, data="pairs", produces="adapter", summary="", paper="")
    job = start_job(person_with_pairs("online@example.org", conversations=12), method)
    run_job(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    is_sound(job)


def test_a_method_that_needs_a_judge_ends_with_the_reason_where_comparisons_make_none(engine, settings):
    settings.MIN_TRAINING_PAIRS = 4
    MethodInfo.objects.create(name="remax", data="pairs", produces="adapter", summary="", paper="")
    job = start_job(person_with_pairs("unclear@example.org", conversations=6, dislikes="Yes"), "remax")
    run_job(str(job.id))
    job.refresh_from_db()
    assert not Artifact.objects.filter(job=job).exists()
    assert job.reason.startswith("Your comparisons do not tell yet")


def test_an_adapter_that_the_gate_refuses_whole_is_sealed_proven_and_served_weakened(
    engine, settings, monkeypatch
):
    settings.MIN_TRAINING_PAIRS = 4

    def gate(base, folder, kind, margins, plain, *, strength=1.0):
        return gate_of(-0.15 * strength)

    monkeypatch.setattr("personalization.evaluation.report.safety_of", gate)
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    job = start_job(person_with_pairs("strong@example.org", conversations=12), "dpo")
    run_job(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    is_sound(job)
    artifact = Artifact.objects.get(job=job)
    assert artifact.share == 0.6
    assert artifact.report_card.results["safety"]["objection"] == ""
    assert artifact.report_card.verdict.endswith("It acts at 60 % of what it learned: more was not safe.")
    part = {"artifact": str(artifact.id), "digest": artifact.digest, "kind": "adapter", "strength": 1.5}
    reply = queued(job.person, interventions=[part])
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    assert (reply.status, reply.interventions) == ("done", [{**part, "strength": 1.0}])


def test_what_passes_whole_is_asked_about_stronger_and_acts_as_strongly_as_passed(
    engine, settings, monkeypatch
):
    settings.MIN_TRAINING_PAIRS = 4
    asked = []

    def gate(base, folder, kind, margins, plain, *, strength=1.0):
        asked.append(strength)
        return gate_of(-0.08 * strength)

    monkeypatch.setattr("personalization.evaluation.report.safety_of", gate)
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    job = start_job(person_with_pairs("whole@example.org", conversations=12), "dpo")
    run_job(str(job.id))
    artifact = Artifact.objects.get(job=job)
    assert asked == [1.0, MOST_STRENGTH]
    assert (artifact.share, artifact.passed_gate) == (1.0, True)
    part = {"artifact": str(artifact.id), "digest": artifact.digest, "kind": "adapter", "strength": 1.5}
    for most in (1.0, 1.5):
        reply = queued(job.person, interventions=[part])
        generate_reply(str(reply.id))
        reply.refresh_from_db()
        assert (reply.status, reply.interventions) == ("done", [{**part, "strength": most}])
        artifact.report_card.results["safety"]["most"] = 1.5  # had it passed
        artifact.report_card.save()


@pytest.mark.parametrize(("fall", "most"), [(0.08, 1.0), (0.05, 1.5), (0.2, 1.0)])
def test_a_personality_acts_stronger_only_where_the_gate_was_asked(engine, monkeypatch, fall, most):
    def gate(base, folder, kind, margins, plain, *, strength=1.0):
        return gate_of(-fall * strength)

    monkeypatch.setattr("personalization.evaluation.report.safety_of", gate)
    person = person_with_pairs("traits@example.org", conversations=1)
    artifact = learned.artifact(person, "pas", proven=None)
    Job.objects.filter(pk=artifact.job_id).update(state=Job.State.RUNNING)
    artifact.summary["proof"] = {"proven": True, "verdict": "Proven: nearer."}
    none = Records()
    work = Evidence(
        job=artifact.job, base=None, check=lambda: None, system_message="",
        records=none, train=none, held_out=none,
    )  # fmt: skip
    prove(work, artifact)
    assert artifact.passed_gate is (fall < 0.1)
    assert artifact.most_strength == most


def test_what_the_gate_refuses_at_any_strength_stays_whole_and_is_quarantined(engine, settings, monkeypatch):
    settings.MIN_TRAINING_PAIRS = 4
    monkeypatch.setattr("personalization.evaluation.report.safety_of", lambda *_, **__: gate_of(-0.5))
    monkeypatch.setattr("personalization.evaluation.report.measure_safety", lambda *_: gate_of(-0.5))
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    job = start_job(person_with_pairs("harmful@example.org", conversations=12), "dpo")
    run_job(str(job.id))
    artifact = Artifact.objects.get(job=job)
    assert artifact.state == Artifact.State.QUARANTINED
    assert artifact.share == 1
