"""From people's rows to proven artifacts: read, split, learn, seal, prove.

Knows nothing of queues or leases. One job is a batch of one. Every stage can be repeated: a resumed job
uses the split of its first attempt, goes on from its checkpoint, whoever learns with it now, and finds the
artifact that it sealed already.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job
from alignapp.feedback.records import records_for
from alignapp.profiles.models import InventoryAnswer
from alignapp.profiles.services import current_profile, strengths_of
from personalization import registry
from personalization.errors import NotEnoughData
from personalization.progress import Progress
from personalization.records import Records
from personalization.values import effects
from workers import shutdown, studying
from workers.attempt import Attempt
from workers.batch import Batch
from workers.engines import base_for_process
from workers.judging import judge_for
from workers.proving import prove
from workers.revising import came_of_words, learn_from_words
from workers.weakening import gate_of, within_gate
from workers.work import BEGINS, Work

if TYPE_CHECKING:
    from personalization.safety.gate import Gate
    from personalization.training.train import Lesson, TrainingResult

Learned = tuple[dict[str, Any], list[str]]  # metrics, and the rows that it was learned from


@dataclass(frozen=True)
class Learner:
    """One attempt of a batch that is about to learn, and the folder that it learns into."""

    attempt: Attempt
    work: Work
    out: Path


def run(batch: Batch) -> None:
    """Do the jobs of a batch: adapters, or one of another kind. Each attempt ends by itself, as its row says.

    Raises ShuttingDown, and what concerns all of them; those that are not over then have not ended.
    """
    with ExitStack() as folders:
        learners = _ready(batch, batch.attempts, folders)
        if learners and learners[0].work.method.produces == "adapter":
            _learn_adapters(batch, learners, folders)
        else:
            _learn_one_by_one(learners)


def _ready(batch: Batch, attempts: Sequence[Attempt], folders: ExitStack) -> list[Learner]:
    """Read what each is to learn from; whose artifact was sealed before is proven at once."""
    learners = []
    for attempt in attempts:
        with attempt.settling():
            work = _read(attempt.job, partial(batch.check, attempt))
            if sealed := Artifact.objects.filter(job=attempt.job).first():
                _prove_and_finish(attempt, work, sealed)
                continue
            attempt.job.report(Job.Phase.LEARN, BEGINS[Job.Phase.LEARN])
            out = folders.enter_context(store.learning_folder(attempt.job.id))
            learners.append(Learner(attempt, work, out))
    return learners


def _read(job: Job, check: Callable[[], None]) -> Work:
    from personalization.evaluation.split import check_apart
    from personalization.models.memory import reset_peak

    job.report(Job.Phase.DATA, BEGINS[Job.Phase.DATA])
    base = base_for_process()
    reset_peak(base.device)
    method = registry.get(job.method)
    if job.from_project:
        records = studying.records_for_job(job)  # with the split that all of its study share
    else:
        records = records_for(job.person)
        if "train" not in job.split and method.data not in ("inventory", "values"):
            job.keep_split(_split(job, records))
    train, held_out = (records.of(job.split.get(side, ())) for side in ("train", "held_out"))
    check_apart(train.every, held_out.every)  # before anything is learned in vain
    return Work(
        job=job,
        base=base,
        method=method,
        parameters=method.resolve(job.parameters),
        check=check,
        system_message=job.system_message,
        records=records,
        train=train,
        held_out=held_out,
    )


def _split(job: Job, records: Records) -> dict[str, Any]:
    """Return what is learned from and what is held out: what the job asks to be held out again, or a draw."""
    from personalization.evaluation.split import Split, alike, split_by_conversation

    usable = {r.conversation for r in (*records.pairs, *records.groups)}
    same = alike(records.every)
    different = len({same[name] for name in usable})
    if different < 2:
        raise NotEnoughData(
            f"{different} different conversations have feedback; at least 2 are needed to hold some out.",
            missing=2 - different,
        )
    again = {same[name] for name in job.split.get("held_out", ()) if name in usable}
    if again and any(same[name] not in again for name in usable):
        split = Split(
            tuple(sorted(name for name in usable if same[name] not in again)),
            tuple(sorted(name for name in usable if same[name] in again)),
            job.id.int % 2**31,
        )
    else:
        split = split_by_conversation(sorted(usable), seed=job.id.int % 2**31, same=same)
    # What holds no comparison proves nothing, but can be learned from, unless it is held out elsewhere.
    held = {same[name] for name in split.held_out}
    alone = (*records.thumbs, *records.edits, *records.critiques, *records.follow_ups)
    single = {record.conversation for record in alone} - usable
    more = sorted(name for name in single if same[name] not in held)
    return asdict(replace(split, train=(*split.train, *more)))


def _end(learner: Learner, learned: Learned) -> None:
    """Seal, prove and finish."""
    work, (metrics, sources) = learner.work, learned
    work.check()
    # Stated values were weakened while they were composed, and bring their own share.
    metrics = {"share": within_gate(work, learner.out, work.method.produces), **metrics}
    _prove_and_finish(learner.attempt, work, _seal(work, learner.out, metrics, sources))


def _seal(work: Work, folder: Path, metrics: dict[str, Any], sources: list[str]) -> Artifact:
    sealed = store.seal(
        folder,
        kind=work.method.produces,
        owner=str(work.job.person_id),
        model_revision=work.base.revision,
        method=work.method.name,
        parameters=work.parameters,
        records=sources,
        metrics=metrics,
    )
    return Artifact.of_job(
        work.job,
        kind=work.method.produces,
        digest=sealed.digest,
        size_bytes=sealed.size_bytes,
        model_revision=work.base.revision,
        summary={**metrics, "method": work.method.name, "parameters": work.parameters},
    )


def _prove_and_finish(attempt: Attempt, work: Work, artifact: Artifact) -> None:
    prove(work, artifact)
    if work.job.from_project:
        studying.compare(work, artifact)
    shutil.rmtree(store.checkpoint_folder(work.job.id), ignore_errors=True)
    attempt.finish(artifact.state)


def _learn_adapters(batch: Batch, learners: Sequence[Learner], folders: ExitStack) -> None:
    """Train all in the same passes, and who comes meanwhile; whoever is done is proven at once.

    The others wait for a proof: nobody is served later by that than if all proofs came last, as the device
    does the same work either way.
    """
    from personalization.training.train import train_together

    def joining(learning: int) -> list[Lesson]:
        return _lessons(_ready(batch, batch.newcomers(learning), folders))

    if lessons := _lessons(learners):
        train_together(learners[0].work.base, lessons, joining=joining)


def _lessons(learners: Sequence[Learner]) -> list[Lesson]:
    found = []
    for learner in learners:
        with learner.attempt.settling():
            learner.work.check()
            if learner.work.method.data == "critiques":
                learn_from_words(learner.work)
            found.append(_lesson(learner))
    return found


def _lesson(learner: Learner) -> Lesson:
    from personalization.evaluation.controls import clearest_of_each
    from personalization.steering.taste import taste_of
    from personalization.training.settings import TrainingSettings
    from personalization.training.train import Lesson

    work = learner.work
    return Lesson(
        work.train,
        work.method,
        learner.out,
        store.checkpoint_folder(work.job.id),
        parameters=work.parameters,
        system_message=work.system_message,
        held_out=clearest_of_each(work.held_out.pairs),
        teacher=taste_of(work.base, work.train.pairs, effects.place(settings.VALUES_DIR, work.base.revision)),
        seed=work.job.id.int % 2**31,
        settings=TrainingSettings(kept_share=settings.TRAIN_KEPT_SHARE, kept_by=settings.TRAIN_KEPT_BY),
        report=work.report(Job.Phase.LEARN),
        on_end=partial(_left, learner),
        judge=judge_for(work) if work.method.draws else None,
    )


def _left(learner: Learner, outcome: TrainingResult | Exception) -> None:
    with learner.attempt.settling():
        if isinstance(outcome, Exception):
            raise outcome
        work = learner.work
        metrics = {**outcome.as_dict(), **came_of_words(work)}
        _end(learner, (metrics, _adapter_sources(work)))
    if shutdown.requested.is_set():
        raise shutdown.ShuttingDown  # the others need not go on; each keeps its place


def _adapter_sources(work: Work) -> list[str]:
    """Return the rows behind an adapter: what its loss read, and the pairs that its teacher follows."""
    from personalization.training.examples import learned_from

    return _sources((*learned_from(work.train, work.method.data), *work.train.pairs))


def _learn_one_by_one(learners: Sequence[Learner]) -> None:
    for learner in learners:
        with learner.attempt.settling():
            learn = _LEARN[learner.work.method.produces]
            _end(learner, learn(learner.work, learner.out))


def _sources(records: Sequence[Any]) -> list[str]:
    return sorted({source for record in records for source in record.sources})


def _learn_vector(work: Work, out: Path) -> Learned:
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


def _learn_personality(work: Work, out: Path) -> Learned:
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


def _learn_values(work: Work, out: Path) -> Learned:
    from personalization.directions.within import compose_within
    from personalization.safety.weaken import TRIES

    tried, report = count(1), work.report(Job.Phase.LEARN)

    def ask(made: Path) -> Gate:
        report(Progress(next(tried), TRIES + 1))
        return gate_of(work, made, Artifact.Kind.VALUES)

    # What is stated when the job runs: sliders may have moved while it waited.
    strengths = strengths_of(current_profile(work.job.person))
    place = effects.place(settings.VALUES_DIR, work.base.revision)
    metrics, work.safety = compose_within(place, strengths, out, ask)
    report(Progress(1, 1))
    return metrics, [f"value-{key}" for key in sorted(metrics["weights"])]


_LEARN = {
    "vector": _learn_vector,
    "personality": _learn_personality,
    "values": _learn_values,
}
