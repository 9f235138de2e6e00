"""Ask for a merge of several adapters: a job whose result must pass like any other.

Knows nothing of how adapters are merged; the ways and their ranges are the rows that workers write. Of which
several people adapters may be merged, and who then holds the result, `alignapp.studies.merging` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from alignapp.accounts.consent import has_consent
from alignapp.adapters import dispatch
from alignapp.adapters.models import MERGE, Artifact, Job, MergeWay
from alignapp.audit.services import record
from alignapp.profiles.services import current_profile
from personalization.errors import AlignError, UnknownName

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

MOST_PARENTS = 8
MAX_WEIGHT = 3.0


def start_merge(
    by: Person | str,
    parents: Mapping[Artifact, float],
    way: str,
    parameters: Mapping[str, float],
    reason: str,
    *,
    holder: Person | None = None,
) -> Job:
    """Queue a merge of adapters, each with its weight; the result is a new version of their person's.

    With a `holder` it is that account's, and whoever names one has looked at the consent of all. Raises
    UnknownName for another way, and AlignError where they are not several tested adapters of one person who
    consents, of one base model and undamaged, or where a merge of this person is open already.
    """
    if not reason.strip():
        raise AlignError("Say why: every merge is on record with its reason.")
    _check_parents(list(parents))
    person = holder or _person_of(list(parents))
    found = MergeWay.objects.filter(name=way).first()
    if found is None:
        raise UnknownName("way to merge", way, MergeWay.objects.values_list("name", flat=True))
    _check_weights(parents)
    wanted = {
        "way": way,
        "parameters": _within(found, parameters),
        "parents": [{"artifact": str(a.pk), "weight": weight} for a, weight in parents.items()],
    }
    try:
        with transaction.atomic():
            job = Job.objects.create(
                person=person,
                method=MERGE,
                parameters=wanted,
                profile_version=current_profile(person),
                from_project=holder is not None,
            )
            record(by, "merge.started", job, reason=reason, **wanted)
            dispatch.wake_for_job(job)
    except IntegrityError:
        raise AlignError(
            "Another merge for this person has not ended yet. Wait for it, or cancel it."
        ) from None
    return job


def _check_parents(parents: list[Artifact]) -> None:
    if not 2 <= len(parents) <= MOST_PARENTS:
        raise AlignError(f"Choose 2 to {MOST_PARENTS} adapters to merge, not {len(parents)}.")
    if len({artifact.model_revision for artifact in parents}) > 1:
        raise AlignError("These adapters were made for different base models and cannot be merged.")
    rows = Artifact.objects.select_related("report_card", "job").filter(pk__in=[a.pk for a in parents])
    for artifact in rows:
        if artifact.kind != Artifact.Kind.ADAPTER:
            raise AlignError(f"{artifact} is no adapter; only adapters can be merged.")
        if artifact.is_of_several:
            raise AlignError(
                f"{artifact} holds several people's adapters; merge these, not what came of them."
            )
        if not artifact.passed_gate:
            raise AlignError(f"{artifact} is out of service or was not tested for safety; leave it out.")
        if artifact.damage:
            raise AlignError(f"{artifact} is damaged; leave it out. {artifact.damage}")


def _person_of(parents: list[Artifact]) -> Person:
    if len({artifact.person_id for artifact in parents}) > 1:
        raise AlignError("These adapters belong to different people. Only those of one person can be merged.")
    person: Person = parents[0].person
    if not has_consent(person):
        raise AlignError("This person withdrew their consent to training.")
    return person


def _check_weights(parents: Mapping[Artifact, float]) -> None:
    for artifact, weight in parents.items():
        if not -MAX_WEIGHT <= weight <= MAX_WEIGHT or weight == 0:
            raise AlignError(
                f"The weight of {artifact} is {weight:g}; it must lie in [-{MAX_WEIGHT:g}, {MAX_WEIGHT:g}], "
                "and 0 leaves the adapter out."
            )


def _within(way: MergeWay, given: Mapping[str, float]) -> dict[str, Any]:
    for name, value in given.items():
        if name not in way.parameters:
            raise UnknownName(f"parameter of {way}", name, way.parameters)
        allowed = way.parameters[name]
        if not allowed["low"] <= value <= allowed["high"]:
            raise AlignError(f"{name} is {value:g}; it must lie in [{allowed['low']}, {allowed['high']}].")
    return dict(given)
