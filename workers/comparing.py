"""Put the same held-out comparisons to several artifacts. Knows nothing of queues and pages.

A report card has its own held-out conversations, so that two cards are not measured on the same. Here it is
what taught none of the artifacts in question, nor anything that they were merged of. Where they are several
people's, each is put to what each of these people held out: whether it serves its own person better than it
serves others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alignapp.accounts.consent import has_consent
from alignapp.adapters import store
from alignapp.adapters.models import Artifact
from alignapp.feedback.records import records_for
from alignapp.profiles.services import current_profile
from alignapp.studies.models import Study
from personalization.errors import AlignError, NotEnoughData
from personalization.records import CLEAR_MARGIN, Pair
from workers.engines import base_for_process

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


def on_held_out(artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """Return {"people": [...]}, for each person of the artifacts `personalization.evaluation.versus`.

    Each with `person` (a pseudonym) and `own`, the places of their artifacts in the order given, from 1; with
    `problem` in place of numbers where there are none. They act at strength 1 under that person's system
    message as it is now. Raises AlignError for another base model than the one here.
    """
    base = base_for_process()
    if any(artifact.model_revision != base.revision for artifact in artifacts):
        raise AlignError("One of them was made for another base model than the one that answers now.")
    people = {artifact.person_id: artifact.person for artifact in artifacts}
    return {"people": [_of(person, artifacts) for person in people.values()]}


def _of(person: Person, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    from personalization.evaluation.report import row_of
    from personalization.evaluation.versus import versus

    own = [i for i, artifact in enumerate(artifacts, 1) if artifact.person_id == person.pk]
    told = {"person": person.pseudonym, "own": own}
    if Study.objects.filter(group=person).exists():
        return {**told, "problem": "A group of a project holds this; its study compares it on that page."}
    if not has_consent(person):
        return {**told, "problem": "This person withdrew their consent; nothing of theirs is measured."}
    try:
        pairs = _taught_none(person, [artifacts[i - 1] for i in own])
    except NotEnoughData as error:
        return {**told, "problem": str(error)}
    profile = current_profile(person)
    found = versus(
        base_for_process(),
        [row_of(store.folder_of(artifact), artifact.kind) for artifact in artifacts],
        pairs,
        system_message=profile.system_message if profile else "",
        own=own,
    )
    return {**told, **found.as_dict()}


def _taught_none(person: Person, artifacts: Sequence[Artifact]) -> list[Pair]:
    """Return the clear comparisons of a person's conversations that none of their artifacts learned from."""
    from personalization.evaluation.split import alike

    records = records_for(person)
    same = alike(records.every)
    taught = {same.get(name, name) for a in artifacts for name in a.job.split.get("train", ())}
    pairs = [
        replace(pair, conversation=same[pair.conversation])
        for pair in records.pairs
        if same[pair.conversation] not in taught and pair.margin >= CLEAR_MARGIN
    ]
    if not pairs:
        raise NotEnoughData(
            "Every conversation with a clear comparison taught one of them. It takes feedback in a new one.",
            missing=1,
        )
    return pairs
