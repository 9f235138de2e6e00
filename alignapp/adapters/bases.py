"""The registry of base models: add one, have it checked, move people to it.

Knows nothing of torch or pages. Which model a worker loads is its ALIGN_MODEL and nothing else; the registry
records what was checked, and the default is the one that people's alignments are made of artifacts for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q, QuerySet

from alignapp.adapters import dispatch, services
from alignapp.adapters.models import PARTS, Alignment, AlignmentVersion, Artifact, KnownModel
from alignapp.adapters.models.alignment import SwitchedMeanwhile
from alignapp.adapters.serving import served_revisions
from alignapp.audit.services import record
from alignapp.instant.models import InstantVector
from personalization.errors import AlignError, UnknownName

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

EMBEDDED = "embedded"
MOVED_AT_ONCE = 200
_HUB_ID = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}")


def add(by: Person | str, spec: str, licence: str = "") -> KnownModel:
    """Put a base model on record and have it checked: "embedded", a folder's absolute path, or a hub id.

    The workers' hosts must see a folder; whether they do, the check says. Raises AlignError for another name,
    and where the same one is on record already.
    """
    spec = spec.strip().rstrip("/")
    if spec != EMBEDDED and not spec.startswith("/") and not _HUB_ID.fullmatch(spec):
        raise AlignError(
            f"{spec or 'Nothing'} is no base model: name a folder by its whole path (/models/name), a model "
            "on the hub (owner/name), or “embedded”."
        )
    if known := KnownModel.objects.filter(spec=spec).first():
        raise AlignError(f"{spec} is on record already: {known.get_state_display().lower()}. Check it again.")
    with transaction.atomic():
        made = KnownModel.objects.create(
            spec=spec, name=Path(spec).name[:120], licence=licence.strip()[:100], added_by=str(by)
        )
        record(by, "model.added", made, name=made.name)
        check(by, made)
    return made


def check(by: Person | str, known: KnownModel) -> None:
    """Have a worker check a base model. Raises AlignError where a check waits or runs."""
    with transaction.atomic():
        free = KnownModel.objects.filter(pk=known.pk).exclude(state__in=KnownModel.OPEN)
        if not free.update(state=KnownModel.State.QUEUED, attempts=0, progress=0.0, reason="", checks=[]):
            raise AlignError(f"{known} is being checked already.")
        record(by, "model.check_asked", known, name=known.name)
        dispatch.wake_for_model_check(known.pk)
    known.refresh_from_db()


def make_default(by: Person | str, known: KnownModel, reason: str) -> None:
    """Let people's alignments be made of artifacts for this base model; they are moved in the background.

    Where somebody has nothing proven for it, that part is switched off, and comes back with an earlier
    default. Raises AlignError without a reason, and where the model did not pass its check.
    """
    if not reason.strip():
        raise AlignError("Say why: everybody's alignment is changed by this.")
    with transaction.atomic():
        now = KnownModel.objects.select_for_update().get(pk=known.pk)
        if now.is_default:
            raise AlignError(f"{now} is the default already.")
        if now.state != KnownModel.State.PASSED:
            raise AlignError(f"{now} did not pass its check: {now.get_state_display().lower()}.")
        KnownModel.objects.filter(is_default=True).update(is_default=False, moving=False)
        KnownModel.objects.filter(pk=now.pk).update(is_default=True, moving=True)
        record(by, "model.made_default", now, reason=reason, revision=now.revision)
    known.refresh_from_db()


def waiting() -> list[KnownModel]:
    """Return the base models that passed their check and do not answer yet, by name. Two queries."""
    served = served_revisions()
    answer = Q(revision__in=served) if served else Q(is_default=True)  # without a living worker nobody knows
    return list(_passed().exclude(answer).order_by("name"))


def check_waiting(revision: str) -> None:
    """Raise AlignError unless the base model of this revision passed its check and does not answer yet."""
    if not _passed().filter(revision=revision).exists():
        names = _passed().values_list("revision", flat=True)
        raise UnknownName("base model that passed its check, with the revision", revision, names)
    if revision in served_revisions():
        raise AlignError(f"The base model {revision} answers already. Leave it out to use what answers.")


def _passed() -> QuerySet[KnownModel]:
    return KnownModel.objects.filter(state=KnownModel.State.PASSED).exclude(revision="")


def left_behind(revision: str) -> Q:
    """Return the condition for alignments with a part that was learned for another base model."""
    found = Q()
    for part in PARTS:
        other = Q(**{f"current__{part}__isnull": False}) & ~Q(
            **{f"current__{part}__model_revision": revision}
        )
        found |= other
    return found


def move_people(most: int = MOVED_AT_ONCE) -> int:
    """Move some of those who are not on the default base model yet; return how many were. May run twice."""
    default = KnownModel.objects.filter(is_default=True, moving=True).first()
    if default is None:
        return 0
    pointers = Alignment.objects.filter(left_behind(default.revision)).select_related("person")
    moved = 0
    found = list(pointers[:most])
    for pointer in found:
        try:
            moved += _move(pointer.person, default)
        except SwitchedMeanwhile:
            continue  # the next round looks at what it is then
    if not found:
        # What follows ratings begins anew with the states that the next answers have on this model.
        InstantVector.objects.filter(is_current=True).exclude(model_revision=default.revision).update(
            is_current=False
        )
        KnownModel.objects.filter(pk=default.pk).update(moving=False)
    return moved


def _move(person: Person, default: KnownModel) -> bool:
    current = services.current_alignment(person)
    if current is None:
        return False
    parts = {
        part: _counterpart(person, part, default.revision)
        for part in PARTS
        if (artifact := getattr(current, part)) is not None and artifact.model_revision != default.revision
    }
    if parts:
        services.switch(person, change=f"Moved to base model {default.name}"[:200], by="system", **parts)
    return bool(parts)


def _counterpart(person: Person, part: str, revision: str) -> Artifact | None:
    """Return what acts for a person on this base model: what did so last, or else the newest proven one."""
    earlier = AlignmentVersion.objects.for_person(person).filter(**{f"{part}__model_revision": revision})
    last = earlier.select_related(f"{part}__report_card").order_by("-number").first()
    if last is not None and getattr(last, part).may_act_for(person.pk, part):
        found: Artifact = getattr(last, part)
        return found
    own = Artifact.objects.for_person(person).filter(kind=part, model_revision=revision)
    proven = own.filter(state=Artifact.State.PROVEN).select_related("report_card").order_by("-number")
    return next((artifact for artifact in proven if artifact.passed_gate), None)


def elsewhere(revision: str) -> bool:
    """Say whether the workers that answer have another base model loaded than this one."""
    served = served_revisions()
    return bool(served) and revision not in served
