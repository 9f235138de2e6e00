"""From one person's rows to one proven artifact: read, split, learn, seal, prove.

Knows nothing of queues or leases. Every stage can be repeated: a resumed job uses the split of its
first attempt, goes on from its checkpoint, and finds the artifact that it sealed already.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.services import switch_on
from alignapp.feedback.records import records_for
from alignapp.profiles.models import InventoryAnswer
from alignapp.profiles.services import current_profile, strengths_of
from personalization import artifacts, registry
from personalization.errors import NotEnoughData
from personalization.progress import Progress, Report
from personalization.records import Records
from personalization.values import effects
from workers.engines import base_for_process

if TYPE_CHECKING:
    from personalization.models.base import BaseModel
    from personalization.registry import Method

# The share of the progress bar at which each phase begins.
BEGINS = {Job.Phase.DATA: 0.0, Job.Phase.LEARN: 0.05, Job.Phase.PROVE: 0.8, Job.Phase.FINISHED: 1.0}


@dataclass
class Work:
    """What the stages of one attempt share."""

    job: Job
    base: BaseModel
    method: Method
    parameters: dict[str, float]
    check: Callable[[], None]  # raises when the attempt must end
    system_message: str
    records: Records
    train: Records
    held_out: Records

    def report(self, phase: Job.Phase) -> Report:
        """Return a listener that writes a phase's progress into the job's row, once a second at most."""
        ends = min(share for share in BEGINS.values() if share > BEGINS[phase])
        last = 0.0

        def listen(progress: Progress) -> None:
            nonlocal last
            self.check()
            ended = progress.step == progress.steps
            if not ended and not progress.values and time.monotonic() - last < 1.0:
                return
            last = time.monotonic()
            share = BEGINS[phase] + (ends - BEGINS[phase]) * progress.step / max(progress.steps, 1)
            point = {"step": float(progress.step), **progress.values} if progress.values else None
            self.job.report(phase, share, seconds_left=progress.seconds_left, point=point)

        return listen


def run(job: Job, check: Callable[[], None]) -> Artifact:
    """Do the whole job and return its artifact, proven or not.

    Raises NotEnoughData, Cancelled, LeaseLost, and whatever broke.
    """
    work = _read(job, check)
    artifact = Artifact.objects.filter(job=job).first() or _learn_and_seal(work)
    _prove(work, artifact)
    shutil.rmtree(store.checkpoint_folder(job.id), ignore_errors=True)
    return artifact


def _read(job: Job, check: Callable[[], None]) -> Work:
    from personalization.evaluation.split import alike, check_apart, split_by_conversation
    from personalization.models.memory import reset_peak

    job.report(Job.Phase.DATA, BEGINS[Job.Phase.DATA])
    base = base_for_process()
    reset_peak(base.device)
    method = registry.get(job.method)
    records = records_for(job.person)
    if not job.split and method.data not in ("inventory", "values"):
        usable = {r.conversation for r in (*records.pairs, *records.groups)}
        same = alike(records.every)
        different = len({same[name] for name in usable})
        if different < 2:
            raise NotEnoughData(
                f"{different} different conversations have feedback; at least 2 are needed to hold some out.",
                missing=2 - different,
            )
        split = split_by_conversation(sorted(usable), seed=job.id.int % 2**31, same=same)
        job.keep_split(asdict(split))
    train, held_out = (records.of(job.split.get(side, ())) for side in ("train", "held_out"))
    check_apart(train.every, held_out.every)  # before anything is learned in vain
    profile = job.profile_version
    return Work(
        job=job,
        base=base,
        method=method,
        parameters=method.resolve(job.parameters),
        check=check,
        system_message=profile.system_message if profile else "",
        records=records,
        train=train,
        held_out=held_out,
    )


def _learn_and_seal(work: Work) -> Artifact:
    job, settings_dir = work.job, Path(settings.ARTIFACT_DIR)
    job.report(Job.Phase.LEARN, BEGINS[Job.Phase.LEARN])
    settings_dir.mkdir(parents=True, exist_ok=True)
    # On the store's own file system, so that sealing is a rename.
    temporary = Path(tempfile.mkdtemp(dir=settings_dir, prefix=f"learning-{job.id}-"))
    try:
        metrics, sources = _LEARN[work.method.produces](work, temporary)
        work.check()
        sealed = artifacts.seal(
            temporary,
            settings_dir,
            kind=work.method.produces,
            owner=str(job.person_id),
            model_revision=work.base.revision,
            method=work.method.name,
            parameters=work.parameters,
            records=sources,
            metrics=metrics,
            key=store.signing_key(),
        )
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Artifact.of_job(
        job,
        kind=work.method.produces,
        digest=sealed.digest,
        size_bytes=sealed.size_bytes,
        model_revision=work.base.revision,
        summary={**metrics, "method": work.method.name, "parameters": work.parameters},
    )


def _sources(records: Sequence[Any]) -> list[str]:
    return sorted({source for record in records for source in record.sources})


def _learn_adapter(work: Work, out: Path) -> tuple[dict[str, Any], list[str]]:
    from personalization.evaluation.controls import clearest_of_each
    from personalization.steering.taste import taste_of
    from personalization.training.train import train_adapter

    result = train_adapter(
        work.base,
        work.train.pairs,
        work.method,
        parameters=work.parameters,
        system_message=work.system_message,
        out=out,
        checkpoints=store.checkpoint_folder(work.job.id),
        held_out=clearest_of_each(work.held_out.pairs),
        teacher=taste_of(work.base, work.train.pairs, effects.place(settings.VALUES_DIR, work.base.revision)),
        seed=work.job.id.int % 2**31,
        report=work.report(Job.Phase.LEARN),
    )
    return result.as_dict(), _sources(work.train.pairs)


def _learn_vector(work: Work, out: Path) -> tuple[dict[str, Any], list[str]]:
    from personalization.steering.learn import learn_vector

    metrics = learn_vector(
        work.base,
        work.train.groups,
        work.method,
        parameters=work.parameters,
        system_message=work.system_message,
        out=out,
        directions=effects.place(settings.VALUES_DIR, work.base.revision),
        seed=work.job.id.int % 2**31,
        report=work.report(Job.Phase.LEARN),
    )
    return metrics, _sources(work.train.groups)


def _learn_personality(work: Work, out: Path) -> tuple[dict[str, Any], list[str]]:
    from personalization.steering.personality import learn_personality

    answers = dict(InventoryAnswer.objects.for_person(work.job.person).values_list("item", "value"))
    metrics = learn_personality(
        work.base,
        answers,
        work.method,
        parameters=work.parameters,
        out=out,
        cache=settings.MODEL_DIR / "personality",
        seed=work.job.id.int % 2**31,
        report=work.report(Job.Phase.LEARN),
    )
    return metrics, [f"item-{item}" for item in sorted(answers)]


def _learn_values(work: Work, out: Path) -> tuple[dict[str, Any], list[str]]:
    from personalization.directions.compose import compose

    # What is stated when the job runs: sliders may have moved while it waited.
    strengths = strengths_of(current_profile(work.job.person))
    metrics = compose(effects.place(settings.VALUES_DIR, work.base.revision), strengths, out)
    work.report(Job.Phase.LEARN)(Progress(1, 1))
    return metrics, [f"value-{key}" for key in sorted(metrics["weights"])]


_LEARN = {
    "adapter": _learn_adapter,
    "vector": _learn_vector,
    "personality": _learn_personality,
    "values": _learn_values,
}


def _prove(work: Work, artifact: Artifact) -> None:
    from personalization.evaluation.report import prove, safety_of
    from personalization.models.memory import peak_bytes

    work.job.report(Job.Phase.PROVE, BEGINS[Job.Phase.PROVE])
    store.check(artifact)
    if artifact.kind == Artifact.Kind.PERSONALITY:
        evidence = artifact.summary["proof"]  # on items that were held out while it was learned
        safety = safety_of(work.base, store.folder_of(artifact), artifact.kind)
        verdict = f"Not safe: {safety.objection}." if safety.objection else evidence["verdict"]
        artifact.judge(
            proven=evidence["proven"] and not safety.objection,
            verdict=verdict,
            results={**evidence, "safety": safety.as_dict()},
        )
        return
    if artifact.kind == Artifact.Kind.VALUES:
        _prove_values(work, artifact)
        return
    card = prove(
        work.base,
        store.folder_of(artifact),
        artifact.kind,
        work.held_out.pairs,
        system_message=work.system_message,
        learned_from=work.train.every,
        report=work.report(Job.Phase.PROVE),
    )
    learned = {"pairs": len(work.train.pairs), "conversations": len(work.train.conversations)}
    results = {**card.as_dict(), "learned_from": learned, "ties": work.records.ties}
    results["peak_bytes"] = peak_bytes(work.base.device)
    results["contradictions"] = work.records.contradictions
    artifact.judge(proven=card.proven, verdict=card.verdict, results=results)


def _prove_values(work: Work, artifact: Artifact) -> None:
    """Judge by what each value's direction was measured to do once, and by the safety gate here and now."""
    from personalization.directions.compose import verdict
    from personalization.evaluation.report import safety_of

    built = effects.read(effects.place(settings.VALUES_DIR, work.base.revision))
    proven, words, rows = verdict(artifact.summary["weights"], built)
    safety = safety_of(work.base, store.folder_of(artifact), artifact.kind)
    artifact.judge(
        proven=proven and not safety.objection,
        verdict=f"Not safe: {safety.objection}." if safety.objection else words,
        results={"values": rows, "safety": safety.as_dict()},
    )
    if artifact.state == Artifact.State.PROVEN:
        switch_on(work.job.person, artifact)  # the person asked for it by moving a slider
