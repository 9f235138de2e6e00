"""A study's reward models: read its people's answers, learn, measure on held-out items, seal.

Knows nothing of queues or learning. It shares the study's split with the jobs that learn adapters, so that
all are compared on the same items. Running it twice makes one.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from alignapp.adapters import store
from alignapp.adapters.models import Job
from alignapp.studies.models import Arm, Judgements, RewardModel, Study
from alignapp.studies.records import records_of
from alignapp.studies.services import LEAST_ITEMS
from personalization.errors import AlignError, NotEnoughData
from personalization.records import Pair, Records
from workers.attempt import Attempt
from workers.engines import base_for_process
from workers.studying import answered_of, clear_pairs, key_of, shared_split
from workers.work import BEGINS

if TYPE_CHECKING:
    from personalization.evaluation.judges import Judged
    from personalization.steering.reward import Reward

KIND = "reward"
# Items that are read of each side, drawn where there are more: an answer costs a forward pass.
MOST_ITEMS = {"train": 1_000, "held_out": 300}
LEARN_FROM = 0.8  # the share of the progress bar at which all is read

Said = dict[str, list[Pair]]


def run(attempt: Attempt) -> None:
    """Do a study's reward job. Raises AlignError where the study is gone, and what stops it."""
    job = attempt.job
    job.report(Job.Phase.DATA, BEGINS[Job.Phase.DATA])
    study = Study.objects.select_related("project").filter(reward_job=job, withdrawn_at=None).first()
    if study is None:
        raise AlignError("The project, or the consent to learn from it, is gone.")
    made = RewardModel.objects.filter(study=study).first() or _learn(attempt, study)
    attempt.finish(str(made))


def head_for(reward_id: str, revision: str) -> Reward | None:
    """Return a project's reward that judges; None where it is gone or of another base model.

    Raises ArtifactError where its files were changed.
    """
    from personalization.judging.kept import read

    rows = RewardModel.objects.filter(study__withdrawn_at=None, model_revision=revision)
    found = rows.filter(pk=reward_id).first()
    if found is None:
        return None
    store.check(found)
    return read(store.folder_of(found), found.way, found.results["rewards"][found.way])


def _learn(attempt: Attempt, study: Study) -> RewardModel:
    from personalization.evaluation.judges import judge, measure
    from personalization.evaluation.split import check_apart
    from personalization.judging.comparisons import Comparisons, read
    from personalization.steering.reward import mean_norms_of

    found = answered_of(study)
    split = shared_split(study, found)
    people = records_of(found)
    train, held_out = (_said(people, _drawn(split, side)) for side in ("train", "held_out"))
    _check_enough(train, held_out)
    check_apart(_pairs(train), _pairs(held_out))
    base = base_for_process()
    states = read(base, _pairs(train) + _pairs(held_out), progress=_telling(attempt, 0.0, LEARN_FROM))
    norms = mean_norms_of([states[p.prompt, text] for p in _pairs(train) for text in (p.chosen, p.rejected)])
    learned_from = Comparisons.of(train, states, norms)
    judged = judge(
        learned_from, Comparisons.of(held_out, states, norms), progress=_telling(attempt, LEARN_FROM, 1.0)
    )
    rewards = {name: one.reward(learned_from, norms) for name, one in judged.learned.items()}
    results = {
        **measure(judged),
        "rewards": {name: reward.as_dict() for name, reward in rewards.items()},
        "learned_from": {"items": len(set(learned_from.items)), "comparisons": len(learned_from)},
    }
    attempt.check()
    return _keep(study, base.revision, rewards, results, judged)


def _said(people: Mapping[uuid.UUID, Records], conversations: Collection[str]) -> Said:
    found = {str(person): clear_pairs(records, conversations) for person, records in people.items()}
    return {person: pairs for person, pairs in found.items() if pairs}


def _drawn(split: Mapping[str, Any], side: str) -> list[str]:
    names, most = sorted(split[side]), MOST_ITEMS[side]
    return random.Random(split["seed"]).sample(names, k=min(most, len(names)))  # noqa: S311 - no secret


def _pairs(said: Said) -> list[Pair]:
    return [pair for pairs in said.values() for pair in pairs]


def _check_enough(train: Said, held_out: Said) -> None:
    for said in (train, held_out):
        items = len({pair.conversation for pair in _pairs(said)})
        if items < LEAST_ITEMS // 2:
            raise NotEnoughData(
                f"Reward models take clear comparisons in {LEAST_ITEMS} different items; half are held out.",
                missing=LEAST_ITEMS // 2 - items,
            )


def _telling(attempt: Attempt, begins: float, ends: float) -> Callable[[int, int], None]:
    """Return what writes progress into the job's row, once a second at most, and raises when it must end."""
    last = 0.0

    def tell(done: int, of: int) -> None:
        nonlocal last
        attempt.check()
        if done == of or time.monotonic() - last >= 1.0:
            last = time.monotonic()
            attempt.job.report(Job.Phase.LEARN, begins + (ends - begins) * done / max(of, 1))

    return tell


def _keep(
    study: Study, revision: str, rewards: Mapping[str, Reward], results: dict[str, Any], judged: Judged
) -> RewardModel:
    """Seal, and store the row with what each person's comparisons came to; nothing after a withdrawal."""
    from personalization.judging.kept import write

    assert study.group_id is not None
    with store.learning_folder(study.reward_job_id) as folder:
        write(rewards, folder)
        sealed = store.seal(
            folder,
            kind=KIND,
            owner=str(study.group_id),
            model_revision=revision,
            method="+".join(rewards),
            parameters={},
            records=sorted({source for pair in judged.train.pairs for source in pair.sources}),
            metrics=results,
        )
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)
        if locked.withdrawn_at is not None or locked.group_id is None:
            store.discard(sealed.digest, study.group_id)
            raise AlignError("Somebody whose answers were in it took their consent back.")
        made: RewardModel = RewardModel.objects.create(
            study=locked,
            person_id=locked.group_id,
            digest=sealed.digest,
            size_bytes=sealed.size_bytes,
            model_revision=revision,
            results=results,
        )
        _keep_judgements(locked, judged)
    return made


def _keep_judgements(study: Study, judged: Judged) -> None:
    from personalization.steering.reward import right

    names = list(judged.margins)
    of_person: dict[str, Judgements] = {}
    rows = zip(*(right(judged.margins[name]) for name in names), strict=True)
    for person, pair, each in zip(judged.held_out.people, judged.held_out.pairs, rows, strict=True):
        said = [pair.conversation, dict(zip(names, each, strict=True))]
        of_person.setdefault(person, {})[key_of(pair)] = said
    for arm in Arm.objects.filter(study=study):
        arm.judgements = of_person.get(str(arm.person_id), {})
        arm.save(update_fields=["judgements"])
