"""A merge is a version like any other: of verified parents, proven on what none of them saw, on record."""

from __future__ import annotations

import pytest
import torch

from alignapp.adapters import comparison, services, store
from alignapp.adapters.merging import start_merge
from alignapp.adapters.models import Artifact, Job, MergeWay, MethodInfo
from personalization.merging.merge import read
from personalization.merging.registry import all_ways
from tests.workers.test_jobs import person_with_pairs, start
from workers.signals import register_ways
from workers.tasks.train import run_job
from workers.tasks.verify import compare_weights, verify_artifacts

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


def test_two_adapters_become_one_that_is_proven_on_what_neither_saw(engine):
    register_ways()
    assert {row.name for row in MergeWay.objects.all()} == {way.name for way in all_ways()}
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    person = person_with_pairs("merge@example.org", conversations=6)
    parents = []
    for _ in range(2):
        job = start(person)
        if parents:  # the same split, so that something is left that neither saw
            Job.objects.filter(pk=job.pk).update(split=parents[0].job.split)
        run_job(str(job.id))
        parents.append(Artifact.objects.get(job=job))
    Artifact.objects.update(state=Artifact.State.PROVEN)
    job = start_merge("terminal", {parents[0]: 1.0, parents[1]: 0.5}, "cat", {}, "contexts")
    run_job(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    made = Artifact.objects.get(job=job)
    assert set(made.parents.all()) == set(parents)
    assert made.report_card.results["safety"]["objection"] == ""
    assert set(job.split["held_out"]) == set(parents[0].job.split["held_out"])
    manifest = store.check(made)
    assert manifest["parents"] == sorted(parent.digest for parent in parents)
    one, two, both = (read(store.folder_of(a)) for a in (*parents, made))
    for name, change in both.items():
        assert torch.allclose(change.dense(), one[name].dense() + 0.5 * two[name].dense(), atol=1e-6)
    assert services.switch_on(person, made, accept_unproven=True).adapter == made

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
    verify_artifacts()
    assert set(Artifact.objects.exclude(damage="")) == {parents[0]}
