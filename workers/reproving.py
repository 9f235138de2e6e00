"""Prove a version again: on what taught it nothing, what was said since included. Knows nothing of queues.

For another base model than it was learned for, the same weights are sealed for that one first: a version of
its own, which must pass there like any other.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from alignapp.adapters import acts, store
from alignapp.adapters.models import Artifact, Job
from alignapp.campaigns.outcomes import keep_up
from alignapp.feedback.records import records_for
from personalization.artifacts import MANIFEST
from personalization.errors import AlignError
from workers.attempt import Attempt
from workers.engines import base_for_process
from workers.proving import prove
from workers.weakening import within_gate
from workers.work import BEGINS, Evidence, hold_out


def run(attempt: Attempt) -> None:
    """Do the job. Raises AlignError where the version is gone or does not fit, and what stops it."""
    job = attempt.job
    job.report(Job.Phase.DATA, BEGINS[Job.Phase.DATA])
    rows = Artifact.objects.for_person(job.person).select_related("job", "report_card")
    artifact = rows.filter(pk=job.parameters["artifact"]).first()
    if artifact is None:
        raise AlignError("It was deleted in the meantime.")
    manifest = store.check(artifact)
    evidence = _evidence(attempt, artifact)
    judged, in_service = artifact, artifact.passed_gate
    if artifact.model_revision != evidence.base.revision:
        judged = Artifact.objects.filter(job=job).first() or _carried(evidence, artifact, manifest)
    prove(evidence, judged)
    if in_service and not judged.report_card.is_safe:
        acts.refuse(judged, judged.report_card.verdict)
    keep_up(judged)
    attempt.finish(judged.state)


def _evidence(attempt: Attempt, artifact: Artifact) -> Evidence:
    job = attempt.job
    records = records_for(job.person)
    learned = artifact.job.split.get("train", ())
    train, held_out = hold_out(job, records, learned, "Every conversation with feedback taught it.")
    return Evidence(
        job=job,
        base=base_for_process(),
        check=attempt.check,
        system_message=job.system_message,
        records=records,
        train=train,
        held_out=held_out,
    )


def _carried(evidence: Evidence, artifact: Artifact, manifest: dict[str, object]) -> Artifact:
    """Seal the same weights for the base model here. Raises ModelError where they do not fit it."""
    from personalization.evaluation.report import row_of
    from personalization.models.interventions import Interventions

    source = store.folder_of(artifact)
    Interventions(evidence.base).check(row_of(source, artifact.kind))
    with store.learning_folder(evidence.job.id) as folder:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
        _name_base(folder / "adapter_config.json", evidence.base.name)
        share = artifact.share * within_gate(evidence, folder, artifact.kind)
        sealed = store.seal(
            folder,
            owner=str(evidence.job.person_id),
            model_revision=evidence.base.revision,
            parents=[artifact.digest],
            **{name: manifest[name] for name in ("kind", "method", "parameters", "records", "metrics")},
        )
    made = Artifact.of_job(
        evidence.job,
        kind=artifact.kind,
        digest=sealed.digest,
        size_bytes=sealed.size_bytes,
        model_revision=evidence.base.revision,
        summary={**artifact.summary, "share": share},
    )
    made.parents.set([artifact])
    return made


def _name_base(config: Path, name: str) -> None:
    """Let PEFT's configuration, where there is one, name the base model."""
    if config.exists():
        known = json.loads(config.read_text())
        config.write_text(json.dumps({**known, "base_model_name_or_path": name}, indent=2, sort_keys=True))
