"""Put the same held-out comparisons to several artifacts. Knows nothing of queues and pages.

A report card has its own held-out conversations, so that two cards are not measured on the same. Here it is
what taught none of the artifacts in question, nor anything that they were merged of. Where they are several
people's, each is put to what each of these people held out: whether it serves its own person better than it
serves others. Of versions that a project's study made, this is what the person answered there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from alignapp.accounts.consent import has_consent
from alignapp.adapters import store
from alignapp.adapters.models import Artifact
from alignapp.feedback.records import records_for
from alignapp.profiles.services import current_profile
from alignapp.studies.models import Study
from personalization.errors import AlignError, NotEnoughData
from personalization.records import CLEAR_MARGIN, Pair
from workers import studying
from workers.engines import base_for_process

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


NOTHING = "There is no clear comparison of this person that they could be put to."
TAUGHT_ALL = "Every conversation with a clear comparison taught one of them. It takes feedback in a new one."


def on_held_out(artifacts: Sequence[Artifact], tell: Callable[[int, int], None]) -> dict[str, Any]:
    """Return {"people": [...]}, for each person of the artifacts `personalization.evaluation.versus`.

    Each with `person` (a pseudonym) and `own`, the places of their artifacts in the order given, from 1; with
    `problem` in place of numbers where there are none. They act at strength 1 under that person's system
    message as it is now. `tell` hears how many readings are done, and of how many. Raises AlignError for
    another base model than the one here.
    """
    base = base_for_process()
    if any(artifact.model_revision != base.revision for artifact in artifacts):
        raise AlignError("One of them was made for another base model than the one that answers now.")
    people = {artifact.person_id: artifact.person for artifact in artifacts}
    found = [_asked(person, artifacts) for person in people.values()]
    each = 1 + len(artifacts)
    readings = each * sum(bool(one.pairs) for one in found)
    told: list[dict[str, Any]] = []
    done = 0
    tell(done, readings)

    def tell_more(so_far: int) -> None:
        tell(done + so_far, readings)

    for one in found:
        told.append(_told(one, artifacts, tell_more))
        done += each * bool(one.pairs)
    return {"people": told}


@dataclass(frozen=True, slots=True)
class Asked:
    """What one person's versions and the others are put to; `problem` says why there is nothing."""

    person: Person
    own: list[int]
    pairs: Sequence[Pair] = ()
    problem: str = ""


def _asked(person: Person, artifacts: Sequence[Artifact]) -> Asked:
    own = [i for i, artifact in enumerate(artifacts, 1) if artifact.person_id == person.pk]
    if Study.objects.filter(group=person).exists():
        problem = "A group of a project holds this; its study compares it on that page."
        return Asked(person, own, problem=problem)
    if not has_consent(person):
        return Asked(
            person, own, problem="This person withdrew their consent; nothing of theirs is measured."
        )
    try:
        return Asked(person, own, _taught_none(person, [artifacts[i - 1] for i in own], artifacts))
    except NotEnoughData as error:
        return Asked(person, own, problem=str(error))


def _told(one: Asked, artifacts: Sequence[Artifact], tell: Callable[[int], None]) -> dict[str, Any]:
    from personalization.evaluation.report import row_of
    from personalization.evaluation.versus import versus

    told = {"person": one.person.pseudonym, "own": one.own}
    if one.problem:
        return {**told, "problem": one.problem}
    profile = current_profile(one.person)
    found = versus(
        base_for_process(),
        [row_of(store.folder_of(artifact), artifact.kind) for artifact in artifacts],
        one.pairs,
        system_message=profile.system_message if profile else "",
        own=one.own,
        tell=tell,
    )
    return {**told, **found.as_dict()}


def _taught_none(person: Person, own: Sequence[Artifact], artifacts: Sequence[Artifact]) -> list[Pair]:
    """Return the clear comparisons of a person's conversations that none of the artifacts learned from.

    Of one project several people answered the same, so that others' versions may have seen it.
    """
    from personalization.evaluation.split import alike

    every = [records_for(person), *studying.records_of_versions(person, own)]
    same = alike(record for records in every for record in records.every)
    taught = {same.get(name, name) for a in artifacts for name in a.job.split.get("train", ())}
    clear = [pair for records in every for pair in records.pairs if pair.margin >= CLEAR_MARGIN]
    if not clear:
        raise NotEnoughData(NOTHING, missing=1)
    pairs = [
        replace(pair, conversation=same[pair.conversation])
        for pair in clear
        if same[pair.conversation] not in taught
    ]
    if not pairs:
        raise NotEnoughData(TAUGHT_ALL, missing=1)
    return pairs
