"""Put the same held-out comparisons to several artifacts of one person. Knows nothing of queues and pages.

A report card has its own held-out conversations, so that two cards are not measured on the same. Here it is
what taught none of the artifacts in question, nor anything that they were merged of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alignapp.accounts.consent import has_consent
from alignapp.adapters import store
from alignapp.adapters.models import Artifact
from alignapp.feedback.records import records_for
from alignapp.profiles.services import current_profile
from personalization.errors import AlignError, NotEnoughData
from personalization.records import CLEAR_MARGIN, Pair
from workers.engines import base_for_process


def on_held_out(artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """Return `personalization.evaluation.versus` of artifacts of one person, in the order given.

    They act at strength 1 under the person's system message as it is now. Raises AlignError for several
    people, without consent, for another base model than the one here and where every comparison taught one.
    """
    from personalization.evaluation.report import row_of
    from personalization.evaluation.versus import versus

    person = artifacts[0].person
    if any(artifact.person_id != person.pk for artifact in artifacts):
        raise AlignError("They are different people's, and no feedback is held out for all of them.")
    if not has_consent(person):
        raise AlignError("This person withdrew their consent; nothing of theirs is measured.")
    base = base_for_process()
    if any(artifact.model_revision != base.revision for artifact in artifacts):
        raise AlignError("One of them was made for another base model than the one that answers now.")
    pairs = _taught_none(artifacts)
    profile = current_profile(person)
    found = versus(
        base,
        [row_of(store.folder_of(artifact), artifact.kind) for artifact in artifacts],
        pairs,
        system_message=profile.system_message if profile else "",
    )
    return found.as_dict()


def _taught_none(artifacts: Sequence[Artifact]) -> list[Pair]:
    """Return the clear comparisons of conversations that none of the artifacts learned from."""
    from personalization.evaluation.split import alike

    records = records_for(artifacts[0].person)
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
