"""A merge is a version like any other: of verified parents, proven on what none of them saw, on record."""

from __future__ import annotations

import pytest
import torch
from django.conf import settings
from transformers import LlamaConfig

from alignapp.accounts.consent import withdraw_consent
from alignapp.accounts.models import Person
from alignapp.adapters import acts, comparison, store
from alignapp.adapters.models import Artifact, Job, MergeWay
from alignapp.annotation.services import projects
from alignapp.audit.services import events_about
from alignapp.chat.models import Conversation
from alignapp.studies import giving, services
from alignapp.studies.merging import start_merge
from personalization.artifacts import seal
from personalization.errors import AlignError
from personalization.merging.merge import read
from personalization.merging.registry import all_ways
from tests import tiny
from tests.gates import gate
from tests.web import learned, studied
from tests.workers.test_jobs import person_with_pairs
from workers import studying
from workers.engines import base_for_process
from workers.signals import register_ways
from workers.tasks.compare import compare_held_out, compare_weights
from workers.tasks.train import run_job
from workers.tasks.verify import verify_artifacts

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


def parent(person, seed: int, split: dict) -> Artifact:
    """Return a sealed adapter of the tiny model, as a job with this split would have left it."""
    return made_by(Job.objects.create(person=person, method="dpo", state=Job.State.DONE, split=split), seed)


def made_by(job: Job, seed: int, *, model_revision: str = "", shape: LlamaConfig | None = None) -> Artifact:
    """Return a sealed adapter of the tiny model, as this job would have left it."""
    model_revision = model_revision or base_for_process().revision
    settings.ARTIFACT_DIR.mkdir(parents=True, exist_ok=True)
    folder = tiny.save_adapter(
        settings.ARTIFACT_DIR / f"learning-{job.id}", seed=seed, size=0.02, shape=shape
    )
    (folder / "README.md").unlink(missing_ok=True)
    sealed = seal(
        folder,
        settings.ARTIFACT_DIR,
        kind="adapter",
        owner=str(job.person_id),
        model_revision=model_revision,
        method="dpo",
        parameters={},
        records=[f"r{seed}"],
        metrics={},
        key=store.signing_key(),
    )
    made = Artifact.of_job(
        job,
        kind="adapter",
        digest=sealed.digest,
        size_bytes=sealed.size_bytes,
        model_revision=model_revision,
    )
    safety = gate(0.5, 0.5, 0.9, 0.9).as_dict()
    made.judge(proven=True, verdict="Proven: it is.", results={"safety": safety})
    return made


def test_two_adapters_become_one_that_is_proven_on_what_neither_saw(engine):
    register_ways()
    assert {row.name for row in MergeWay.objects.all()} == {way.name for way in all_ways()}
    person = person_with_pairs("merge@example.org", conversations=6)
    names = sorted(str(c.pk) for c in Conversation.objects.for_person(person))
    parents = [
        parent(person, 1, {"seed": 1, "train": names[:3], "held_out": names[3:]}),
        parent(person, 2, {"seed": 2, "train": names[1:4], "held_out": [names[0], *names[4:]]}),
    ]
    job = start_merge("terminal", {parents[0]: 1.0, parents[1]: 0.5}, "cat", {}, "contexts")
    run_job(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    made = Artifact.objects.get(job=job)
    assert set(made.parents.all()) == set(parents)
    assert "objection" in made.report_card.results["safety"]  # the gate was asked
    assert job.split["held_out"] == names[4:]
    manifest = store.check(made)
    assert manifest["records"] == ["r1", "r2"]
    assert manifest["parents"] == sorted(parent.digest for parent in parents)
    one, two, both = (read(store.folder_of(a)) for a in (*parents, made))
    for name, change in both.items():
        assert torch.allclose(change.dense(), one[name].dense() + 0.5 * two[name].dense(), atol=1e-6)
    with pytest.raises(AlignError, match=r"is not proven|is quarantined"):
        acts.promote("terminal", made, "at once")

    # A parent that is changed on disk is never merged.
    (store.folder_of(parents[0]) / "adapter_model.safetensors").write_bytes(b"planted")
    again = start_merge("terminal", {parents[0]: 1.0, parents[1]: 1.0}, "linear", {}, "again")
    run_job(str(again.id))
    again.refresh_from_db()
    assert again.state == Job.State.DEAD
    assert "were changed" in again.reason

    # The page asks once, a worker answers, and the night finds the damage.
    ids = sorted([str(made.pk), str(parents[1].pk)])
    assert comparison.compared([made, parents[1]]) is None
    compare_weights(",".join(ids))
    rows = comparison.compared([made, parents[1]])["rows"]
    assert {(row["first"], row["second"]) for row in rows} == {(0, 1)}
    assert all(-1 <= row["cosine"] <= 1 for row in rows)
    # On what taught none of both: the conversations that the merge was proven on, by more than one judge.
    assert comparison.compared([made, parents[1]], comparison.HELD_OUT) is None
    compare_held_out(",".join(ids))
    found = comparison.compared([made, parents[1]], comparison.HELD_OUT)
    (own,) = found["people"]
    assert (own["person"], own["own"], own["personal"]) == (person.pseudonym, [1, 2], None)
    assert own["conversations"] == len(job.split["held_out"])
    assert len(own["accuracy"]) == 3
    assert own["accuracy"][0]["n"] >= own["conversations"]
    assert [(d["first"], d["second"]) for d in own["differences"]] == [(0, 1), (0, 2), (1, 2)]
    compare_held_out(f"{parents[0].pk},{parents[1].pk}")  # one of them was planted
    assert "were changed" in comparison.compared(parents, comparison.HELD_OUT)["problem"]
    verify_artifacts()
    assert set(Artifact.objects.damaged()) == {parents[0]}


def test_several_peoples_adapters_are_put_to_what_each_of_them_held_out(engine):
    people = [person_with_pairs(f"{name}@example.org", conversations=4) for name in ("anna", "bert", "carl")]
    names = [sorted(str(c.pk) for c in Conversation.objects.for_person(person)) for person in people]
    splits = [{"train": own[:2], "held_out": own[2:]} for own in names]
    splits[1] = {"train": names[1], "held_out": []}  # everything taught
    made = [parent(person, i, split) for i, (person, split) in enumerate(zip(people, splits, strict=True))]
    withdraw_consent(people[2])
    assert comparison.compared(made, comparison.HELD_OUT) is None
    compare_held_out(",".join(str(artifact.pk) for artifact in made))
    found = {one["person"]: one for one in comparison.compared(made, comparison.HELD_OUT)["people"]}
    hers, his, gone = (found[person.pseudonym] for person in people)
    ordered = sorted(made, key=lambda a: str(a.pk))
    assert hers["own"] == [1 + ordered.index(made[0])]
    assert (hers["conversations"], len(hers["accuracy"])) == (2, 4)
    own, *others = (hers["accuracy"][i]["value"] for i in (*hers["own"], *{1, 2, 3} - set(hers["own"])))
    assert hers["personal"]["value"] == pytest.approx(own - sum(others) / 2)
    assert "taught one of them" in his["problem"]
    assert "withdrew their consent" in gone["problem"]


def test_a_groups_merge_is_proven_on_what_its_study_held_out_and_goes_with_one_consent(engine, settings):
    settings.MIN_TRAINING_PAIRS = 4
    register_ways()
    learned.methods()
    project = studied.project_of(Person.objects.create_user("owner@example.org"), count=8)
    for name in ("anna", "bert", "carl"):
        studied.annotator(project, name, shares=True)
    study = services.start(project.memberships.get(role="owner"), "dpo")
    arms = list(study.arms.select_related("job", "person"))
    parents = {made_by(arm.job, seed): 1.0 for seed, arm in enumerate(arms)}
    Job.objects.filter(arm__study=study).update(state=Job.State.DONE)

    job = start_merge("terminal", parents, "ties", {"density": 0.5}, "what they share")
    run_job(str(job.id))
    job.refresh_from_db()
    study.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    made = Artifact.objects.get(job=job)
    assert (made.person, set(made.parents.all())) == (study.group, set(parents))
    assert job.split["held_out"] == study.split["held_out"]
    assert made.report_card.results["n_pairs"] == len(study.split["held_out"])
    assert "objection" in made.report_card.results["safety"]  # the gate was asked
    folder = store.folder_of(made)
    assert store.check(made)["parents"] == sorted(parent.digest for parent in parents)
    for arm in arms:
        assert events_about(arm.person).filter(verb="merge.joined", reason="what they share").exists()

    given, *_others = giving.give("terminal", made, "they asked for it")
    run_job(str(given.id))
    given.refresh_from_db()
    assert (given.state, given.reason) == (Job.State.DONE, "")
    hers = Artifact.objects.get(job=given)
    assert hers.person == arms[0].person
    assert "objection" in hers.report_card.results["safety"]  # the gate was asked of hers
    assert set(given.split["held_out"]) <= set(study.split["held_out"])
    assert hers.report_card.results["n_pairs"] == len(given.split["held_out"])  # what she said of them
    one, other = (read(store.folder_of(each)) for each in (made, hers))
    assert all(torch.equal(one[name].dense(), other[name].dense()) for name in one)

    again = start_merge("terminal", parents, "linear", {}, "again")
    withdraw_consent(arms[0].person)
    assert not Artifact.objects.filter(pk=made.pk).exists()
    assert not Job.objects.filter(pk=again.pk).exists()
    assert not folder.exists()
    assert set(Artifact.objects.all()) == set(parents)  # each their own, as before
    with pytest.raises(AlignError, match=r"one study of a project|does not agree"):
        start_merge("terminal", parents, "linear", {}, "once more")


def test_a_studys_adapters_and_their_merge_are_compared_on_what_it_held_out(engine, settings):
    settings.MIN_TRAINING_PAIRS = 4
    register_ways()
    learned.methods()
    project = studied.project_of(Person.objects.create_user("owner@example.org"), count=8)
    for name in ("anna", "bert"):
        studied.annotator(project, name, shares=True)
    study = services.start(project.memberships.get(role="owner"), "dpo")
    split = dict(studying.shared_split(study, studying.answered_of(study)))
    parents = [made_by(arm.job, seed) for seed, arm in enumerate(study.arms.select_related("job", "person"))]
    Job.objects.filter(arm__study=study).update(state=Job.State.DONE, split=split)
    job = start_merge("terminal", dict.fromkeys(parents, 1.0), "ties", {}, "what they share")
    Job.objects.filter(pk=job.pk).update(split=split)
    every = sorted([*parents, made_by(job, 3)], key=lambda a: str(a.pk))

    compare_held_out(",".join(str(artifact.pk) for artifact in every))
    people = comparison.compared(every, comparison.HELD_OUT)["people"]
    found = {one["person"]: one for one in people}
    assert "its study compares it" in found.pop(study.group.pseudonym)["problem"]
    assert len(found) == 2
    for own in found.values():
        assert own["conversations"] == len(split["held_out"])
        assert len(own["accuracy"]) == 4

    # Who agrees to it no more is not measured, and of nothing nobody says that it was learned from.
    anna = parents[0].person
    projects.agree(anna.memberships.get(project=project), may_train=False)
    compare_held_out(",".join(str(artifact.pk) for artifact in parents))
    people = comparison.compared(parents, comparison.HELD_OUT)["people"]
    problems = {one["person"]: one.get("problem") for one in people}
    assert "no clear comparison" in problems[anna.pseudonym]


def test_a_comparison_is_told_as_far_as_it_is_and_made_once(engine, monkeypatch):
    person = person_with_pairs("anna@example.org", conversations=4)
    names = sorted(str(c.pk) for c in Conversation.objects.for_person(person))
    made = [parent(person, 1, {"train": names[:2], "held_out": names[2:]})]
    told, keep_progress = [], comparison.tell

    def tell(*args):
        keep_progress(*args)
        told.append(comparison.progress(made, comparison.HELD_OUT))

    monkeypatch.setattr(comparison, "tell", tell)
    assert comparison.progress(made, comparison.HELD_OUT) is None
    compare_held_out(str(made[0].pk))
    assert told == [(0, 2), (1, 2), (2, 2)]  # the base model and one version
    compare_held_out(str(made[0].pk))  # the page asked twice, because the worker was busy
    assert len(told) == 3
