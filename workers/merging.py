"""From several adapters to one, proven like any other: verify, merge, seal, prove.

Knows nothing of queues. What proves a merge is what none of its parents learned from: of one person's
adapters their other conversations, of several people's what their study held out: all of it for the group's,
what one person answered of it for the version that they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job
from alignapp.feedback.records import records_for
from alignapp.studies.giving import check_agreed
from alignapp.studies.merging import agreed_study
from personalization.errors import AlignError
from personalization.progress import Progress
from personalization.registry import Method
from workers import studying
from workers.attempt import Attempt
from workers.engines import base_for_process
from workers.proving import prove
from workers.weakening import within_gate
from workers.work import BEGINS, Work, hold_out


@dataclass(frozen=True)
class Parent:
    """One adapter that is merged, verified, and what its manifest says."""

    artifact: Artifact
    weight: float
    manifest: dict[str, object]


def run(attempt: Attempt) -> None:
    """Do a merge job. Raises AlignError where parents are gone or may not act, and what stops it."""
    job = attempt.job
    job.report(Job.Phase.DATA, BEGINS[Job.Phase.DATA])
    parents = _parents(job)
    work = _work(attempt, parents)
    made = Artifact.objects.filter(job=job).first() or _merge(work, parents)
    prove(work, made)
    attempt.finish(made.state)


def _parents(job: Job) -> list[Parent]:
    weights = {each["artifact"]: float(each["weight"]) for each in job.parameters["parents"]}
    every = Artifact.objects if job.from_project else Artifact.objects.for_person(job.person)
    rows = every.select_related("report_card", "job").filter(pk__in=weights)
    found = {str(artifact.pk): artifact for artifact in rows}
    for artifact_id in weights:
        if artifact_id not in found:
            raise AlignError("One of the adapters was deleted in the meantime. Choose again.")
        if not found[artifact_id].passed_gate:
            raise AlignError(f"{found[artifact_id]} is out of service now. Choose again.")
    if job.from_project:
        agreed_study(found.values())
        check_agreed(job)
    return [Parent(found[pk], weight, store.check(found[pk])) for pk, weight in weights.items()]


def _work(attempt: Attempt, parents: list[Parent]) -> Work:
    from personalization.merging import registry as ways

    job = attempt.job
    records = studying.records_for_job(job) if job.from_project else records_for(job.person)
    learned = {name for parent in parents for name in parent.artifact.job.split.get("train", ())}
    taught_all = (
        "Every conversation with feedback taught one of these adapters, so that nothing is left to prove the "
        "merge with."
    )
    train, held_out = hold_out(job, records, learned, taught_all)
    way = ways.get(job.parameters["way"])
    return Work(
        job=job,
        base=base_for_process(),
        method=Method(
            job.method,
            data="adapters",
            produces="adapter",
            paper=way.paper,
            summary=way.summary,
            needs_reference=False,
            offered=True,
            remembers=False,
            parameters=way.parameters,
            function=way.function,
        ),
        parameters=way.resolve(job.parameters["parameters"]),
        check=attempt.check,
        system_message=job.system_message,
        records=records,
        train=train,
        held_out=held_out,
    )


def _merge(work: Work, parents: list[Parent]) -> Artifact:
    from personalization.merging import registry as ways
    from personalization.merging.merge import merge, read, write

    job = work.job
    way = ways.get(job.parameters["way"])
    tell = work.report(Job.Phase.LEARN)
    merged = merge(
        [read(store.folder_of(parent.artifact)) for parent in parents],
        [parent.weight for parent in parents],
        way,
        work.parameters,
        on_weight=lambda done, of: tell(Progress(done, of)),
    )
    metrics: dict[str, Any] = {"rank": merged.rank, "loss": merged.loss, "merged": len(parents)}
    described = {
        **work.parameters,
        "way": way.name,
        "weights": {parent.artifact.digest: parent.weight for parent in parents},
    }
    with store.learning_folder(job.id) as folder:
        write(merged, folder, base_name=work.base.name)
        metrics["share"] = within_gate(work, folder, Artifact.Kind.ADAPTER)
        sealed = store.seal(
            folder,
            kind=Artifact.Kind.ADAPTER,
            owner=str(job.person_id),
            model_revision=work.base.revision,
            method=job.method,
            parameters=described,
            records=_records(parents),
            metrics=metrics,
            parents=[parent.artifact.digest for parent in parents],
        )
    try:
        made = Artifact.of_job(
            job,
            kind=Artifact.Kind.ADAPTER,
            digest=sealed.digest,
            size_bytes=sealed.size_bytes,
            model_revision=work.base.revision,
            summary={**metrics, "method": job.method, "parameters": described},
        )
    except Job.DoesNotExist:  # taken back while it was sealed
        store.discard(sealed.digest, job.person_id)
        raise
    made.parents.set([parent.artifact for parent in parents])
    return made


def _records(parents: list[Parent]) -> list[str]:
    found: set[str] = set()
    for parent in parents:
        records = parent.manifest["records"]
        assert isinstance(records, list)
        found.update(records)
    return sorted(found)
