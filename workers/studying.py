"""Jobs of a project's study: whose rows they learn from, the split that they share, and the comparison.

Knows nothing of queues or learning. Nothing of a person's chat is read, and no profile acts: what is compared
is what the project's answers taught.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q

from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job
from alignapp.studies.models import Arm, Given, Scores, Study
from alignapp.studies.records import Answered, answered, consenting, mean_of_people, records_of
from personalization.errors import AlignError, NotEnoughData
from personalization.records import CLEAR_MARGIN, Pair, Records
from workers.work import Work

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from personalization.evaluation.split import Split

# Splits that are tried: which items are held out decides how many comparisons of each person are.
DRAWS = 32
# Held-out conversations: at least so many where there are twice as many, so that several people can be asked
# together (flipping eight gives p = 2 / 2^8), and so many of a person that more do not choose the split.
ENOUGH = 8
CANCEL_OUT = (
    "The group prefers nothing: on these items its people cancel each other out. An odd number of people, or "
    "more items, would decide."
)


def records_for_job(job: Job) -> Records:
    """Return what the job of a study learns from and is proven on; the job then has the study's split.

    Of the group's job the mean of people, of another one what that person said. Who took their consent back
    meanwhile is in neither. Raises AlignError where the study is gone, and NotEnoughData.
    """
    study, arm = _study_of(job)
    found = answered_of(study)
    split = shared_split(study, found)
    if arm is None:
        records = mean_of_people(found, scale_on=set(split["train"]))
        if not all(records.of(split[side]).pairs for side in ("train", "held_out")):
            raise NotEnoughData(CANCEL_OUT, missing=1)
    else:
        records = records_of(found).get(arm.person_id, Records())
    if "train" not in job.split:
        known = set(records.conversations)
        own = {side: [name for name in split[side] if name in known] for side in ("train", "held_out")}
        job.keep_split({"seed": split["seed"], **own})
    return records


def records_of_versions(person: Person, artifacts: Collection[Artifact]) -> list[Records]:
    """Return what a person answered in the studies that made these versions of theirs, a project each.

    Nothing where they do not agree to training there any more.
    """
    jobs = {artifact.job_id for artifact in artifacts}
    studies = Study.objects.filter(Q(arms__job__in=jobs) | Q(given__job__in=jobs)).select_related("project")
    of_project = {study.project_id: study for study in studies}
    return [records_of(answered_of(study)).get(person.pk, Records()) for study in of_project.values()]


def compare(work: Work, artifact: Artifact) -> None:
    """Keep how often this adapter, and the base model, prefer what each person in question preferred.

    The group's adapter is asked about everybody, a person's own about that person: on their held-out clear
    comparisons, which no adapter of the study saw. Readings are those of the report card: the base model by
    likelihood, an adapter by implicit reward.
    """
    from personalization.evaluation.report import row_of
    from personalization.evaluation.split import check_apart
    from personalization.models.interventions import Interventions, Row
    from personalization.models.preference import score

    study, arm = _study_of(work.job)
    said = records_of(answered_of(study))
    column = "group_scores" if arm is None else "own_scores"
    asked = [arm] if arm is not None else list(study.arms.all())
    row = row_of(store.folder_of(artifact), artifact.kind)
    interventions = Interventions(work.base)
    try:
        for one in asked:
            work.check()
            pairs = clear_pairs(said.get(one.person_id, Records()), study.split["held_out"])
            if not pairs:
                continue
            check_apart(work.train.every, pairs)
            plain = score(work.base, interventions, pairs, row=Row(), system_message="")
            acting = score(work.base, interventions, pairs, row=row, system_message="")
            found = zip(pairs, plain.likelihood(), acting.implicit_reward(plain), strict=True)
            scores = {key_of(pair): [pair.conversation, base, adapter] for pair, base, adapter in found}
            _keep(one, column, scores)
    finally:
        interventions.remove()


def _keep(arm: Arm, column: str, scores: Scores) -> None:
    """Store scores; of a group that was withdrawn meanwhile nothing is kept."""
    rows = Arm.objects.filter(pk=arm.pk)
    if column == "group_scores":
        rows = rows.filter(study__withdrawn_at=None)
    rows.update(**{column: scores})


def _study_of(job: Job) -> tuple[Study, Arm | None]:
    """Return the study of a job, and the arm of the person that it is for; None for the group's jobs."""
    arms = Arm.objects.select_related("study__project")
    if arm := arms.filter(job=job).first():
        return arm.study, arm
    if given := Given.objects.filter(job=job).first():
        if arm := arms.filter(study=given.study_id, person=job.person).first():
            return arm.study, arm
        raise AlignError("The person is not in the study any more.")
    study = Study.objects.select_related("project").filter(group=job.person, withdrawn_at=None).first()
    if study is None:
        raise AlignError("The project, or the consent to learn from it, is gone.")
    return study, None


def answered_of(study: Study) -> list[Answered]:
    """Return what the people of a study said, those of them who still agree to training."""
    members = set(study.arms.values_list("person_id", flat=True))
    agree = consenting(study.project).values_list("person_id", flat=True)
    return list(answered(study.project, members & set(agree)))


def shared_split(study: Study, found: list[Answered]) -> Mapping[str, Any]:
    """Return the study's split; the job that comes first makes it, and all others use the same one."""
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)
        if not locked.split:
            locked.split = _drawn(study, found)
            locked.save(update_fields=["split"])
    study.split = locked.split
    return locked.split


def _drawn(study: Study, found: list[Answered]) -> dict[str, Any]:
    """Hold conversations out for everybody: of some draws the one that leaves nobody with too few.

    It looks at who answered what, never at what was answered. Conversations that hold the same answers stay
    together whoever judged them.
    """
    from personalization.evaluation.split import alike, split_by_conversation

    people = records_of(found)
    same = alike(record for records in people.values() for record in records.every)
    of_person: dict[uuid.UUID, set[str]] = defaultdict(set)
    for person, records in people.items():
        of_person[person] = {pair.conversation for pair in records.pairs}
    usable = sorted(set().union(*of_person.values()))
    if len({same[name] for name in usable}) < 2:
        raise NotEnoughData(
            "At least 2 different items with comparisons are needed to hold some out.", missing=1
        )
    own = set(study.arms.exclude(job=None).values_list("person_id", flat=True))
    counted = [known for person, known in of_person.items() if person in own] or list(of_person.values())
    first = study.id.int % 2**31
    drawn = [split_by_conversation(usable, seed=first + i, minimum=ENOUGH, same=same) for i in range(DRAWS)]
    best = max(drawn, key=lambda split: _fairness(split, counted))
    return {"seed": best.seed, "train": list(best.train), "held_out": list(best.held_out)}


def _fairness(split: Split, of_people: Collection[set[str]]) -> tuple[int, int]:
    """Return how many conversations are held out of whoever has fewest, and of all together; capped."""
    held = set(split.held_out)
    counts = [min(len(held & known), ENOUGH) for known in of_people]
    return min(counts), sum(counts)


def clear_pairs(records: Records, held_out: Collection[str]) -> list[Pair]:
    return [pair for pair in records.of(held_out).pairs if pair.margin >= CLEAR_MARGIN]


def key_of(pair: Pair) -> str:
    """Return what names a preference in both columns: a change of mind between two jobs is another one."""
    told = "\0".join((pair.conversation, pair.chosen, pair.rejected))
    return hashlib.sha256(told.encode()).hexdigest()[:16]
