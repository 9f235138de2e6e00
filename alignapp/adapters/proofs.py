"""Ask for a version to be proven again: by what its person said since, today's margins, another base model.

Knows nothing of how anything is proven. On the base model that it was learned for its report card is written
anew; on another one a copy for that model is proven, a new version, so that nobody who is served well there
need learn again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from alignapp.accounts.consent import has_consent
from alignapp.adapters import bases, dispatch
from alignapp.adapters.models import PROVE, Artifact, Job
from alignapp.audit.services import record
from alignapp.profiles.services import current_profile
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

KINDS = (Artifact.Kind.ADAPTER, Artifact.Kind.VECTOR)


def obstacle(artifact: Artifact) -> str:
    """Say why this version cannot be proven again; empty where it can. One query at most."""
    if artifact.kind not in KINDS:
        return "Only adapters and vectors are proven on feedback; this is measured once, when it is made."
    if artifact.job.from_project:
        return "It was made from a project's answers, and a study proves it."
    if artifact.damage:
        return f"{artifact} is damaged. {artifact.damage}"
    return "" if has_consent(artifact.person) else "This person withdrew their consent to training."


def start_proof(by: Person | str, artifact: Artifact, reason: str, base_revision: str = "") -> Job:
    """Queue the proof of a version; its state may change, and nothing is switched on by it.

    `base_revision` names a base model that passed its check and does not answer yet; empty: the one that
    answers. Raises AlignError without a reason, for another base model, where `obstacle` finds one and where
    a proof of this person is open already.
    """
    if not reason.strip():
        raise AlignError("Say why: every proof that is asked for is on record with its reason.")
    if why := obstacle(artifact):
        raise AlignError(why)
    if base_revision:
        bases.check_waiting(base_revision)
    try:
        with transaction.atomic():
            job = Job.objects.create(
                person=artifact.person,
                method=PROVE,
                base_revision=base_revision,
                parameters={"artifact": str(artifact.pk)},
                profile_version=current_profile(artifact.person),
            )
            record(by, "artifact.proof_asked", artifact, reason=reason, base_revision=base_revision)
            dispatch.wake_for_job(job)
    except IntegrityError:
        raise AlignError(
            "Another proof for this person has not ended yet. Wait for it, or cancel it."
        ) from None
    return job
