"""What an operator does with people's artifacts: each act with a reason, on record, all or nothing.

Knows nothing of pages or terminals. Every act locks the artifact's row and looks at it as it is then, so that
no order of acts switches on what may not act.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import redis
from django.db import transaction
from django.utils import timezone

from alignapp.adapters import evictions, services, store
from alignapp.adapters.aliases import active_ids, aliases_of
from alignapp.adapters.models import Artifact
from alignapp.adapters.serving import is_served
from alignapp.audit.services import record
from personalization.errors import AlignError, ArtifactError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

log = logging.getLogger(__name__)
State = Artifact.State


def promote(by: Person | str, artifact: Artifact, reason: str) -> None:
    """Switch a proven artifact on for its person, after reading every byte of it.

    Raises AlignError where it is not proven, not safe, out of service or switched on already, and
    ArtifactError where its files were changed.
    """
    with _act(by, artifact, reason, "artifact.promoted") as current:
        if _is_active(current):
            raise AlignError(f"{current} is active already.")
        _check_files(current)
        services.switch_on(current.person, current, by=by)


def roll_back(
    by: Person | str, artifact: Artifact, reason: str, *, passing_over: Collection[object] = ()
) -> Artifact | None:
    """Put the previous version in the place of an active one; return it, None where nothing acts now.

    A previous version that may not act any more is passed over, and what is in `passing_over` (ids). Raises
    AlignError where it is not active.
    """
    with _act(by, artifact, reason, "artifact.rolled_back") as current:
        if not _is_active(current):
            raise AlignError(f"{current} is not active, so there is nothing to roll back.")
        return _step_back(by, current, passing_over)


def quarantine(by: Person | str, artifact: Artifact, reason: str) -> None:
    """Take an artifact out of service at once: out of the alignment, out of every engine's memory.

    The previous version takes its place where it was active. Raises AlignError where it is there already.
    """
    with _act(by, artifact, reason, "artifact.quarantined") as current:
        if current.state == State.QUARANTINED:
            raise AlignError(f"{current} is in quarantine already.")
        _leave(by, current, State.QUARANTINED)


def refuse(artifact: Artifact, reason: str) -> None:
    """Let the previous version act in place of one that a new proof found unsafe, whatever its state is."""
    with _act("system", artifact, reason, "artifact.quarantined") as current:
        _leave("system", current, State.QUARANTINED)


def expire(by: Person | str, artifact: Artifact, reason: str) -> None:
    """Take an artifact out of service because its time is over. Raises AlignError for a pinned one."""
    with _act(by, artifact, reason, "artifact.expired") as current:
        if current.state in Artifact.OUT_OF_SERVICE:
            raise AlignError(f"{current} is out of service already: {current.get_state_display().lower()}.")
        if current.pinned:
            raise AlignError(f"{current} is pinned. Unpin it first.")
        _leave(by, current, State.EXPIRED)


def restore(by: Person | str, artifact: Artifact, reason: str) -> None:
    """Give an artifact the state that its evidence says; it is not switched on by that.

    Raises AlignError where it is in service, and where the safety gate objects to it: that stays.
    """
    with _act(by, artifact, reason, "artifact.restored") as current:
        if current.state not in Artifact.OUT_OF_SERVICE:
            raise AlignError(f"{current} is in service; there is nothing to restore.")
        if current.state_by_card == State.QUARANTINED:
            raise AlignError(f"The safety gate objects to {current}; it stays in quarantine.")
        _check_files(current)
        Artifact.objects.filter(pk=current.pk).update(state=current.state_by_card)


def pin(by: Person | str, artifact: Artifact, reason: str) -> None:
    """Keep an artifact from expiring and from being pruned. Raises AlignError for one that has expired."""
    with _act(by, artifact, reason, "artifact.pinned") as current:
        if current.state == State.EXPIRED:
            raise AlignError(f"{current} has expired. Restore it first.")
        Artifact.objects.filter(pk=current.pk).update(pinned=True)


def unpin(by: Person | str, artifact: Artifact, reason: str) -> None:
    """Let an artifact expire and be pruned again."""
    with _act(by, artifact, reason, "artifact.unpinned") as current:
        Artifact.objects.filter(pk=current.pk).update(pinned=False)


@dataclass(frozen=True, slots=True)
class Act:
    """One of the above by name: what it is called with, what is said when it is done, what undoes it."""

    do: Callable[[Person | str, Artifact, str], object]
    done: str
    undone_by: str = ""


BY_NAME = {
    "promote": Act(promote, "is active now", "rollback"),
    "rollback": Act(roll_back, "is active no longer"),
    "quarantine": Act(quarantine, "is in quarantine", "restore"),
    "restore": Act(restore, "is back in service, not switched on", "quarantine"),
    "expire": Act(expire, "has expired", "restore"),
    "pin": Act(pin, "is pinned", "unpin"),
    "unpin": Act(unpin, "is pinned no longer", "pin"),
}


def verify(artifact: Artifact) -> str:
    """Read every byte of an artifact in the store; keep and return what is wrong, empty for nothing.

    What was intact before and is not any more is on record. Raises StoreAway where a bucket does not answer.
    """
    try:
        store.check_stored(artifact)
        found = ""
    except ArtifactError as error:
        found = str(error)
    with transaction.atomic():
        before = Artifact.objects.select_for_update().filter(pk=artifact.pk).first()
        if before is None:  # deleted meanwhile, with its files
            return ""
        if found and not before.damage:
            record("system", "artifact.damaged", before, reason=found, digest=before.digest)
        Artifact.objects.filter(pk=artifact.pk).update(checked_at=timezone.now(), damage=found)
    artifact.refresh_from_db(fields=["checked_at", "damage"])
    return found


@contextmanager
def _act(by: Person | str, artifact: Artifact, reason: str, verb: str) -> Iterator[Artifact]:
    """Lock the row, lend it as it is now, and put the act on record when the block ends well."""
    if not reason.strip():
        raise AlignError("Say why: every act on somebody's artifact is on record with its reason.")
    with transaction.atomic():
        locked = Artifact.objects.select_for_update(of=("self",)).select_related("person", "report_card")
        current = locked.filter(pk=artifact.pk).first()
        if current is None:
            raise AlignError("It was deleted in the meantime.")
        yield current
        record(by, verb, current, reason=reason, digest=current.digest, kind=current.kind)
    artifact.refresh_from_db(fields=["state", "pinned", "checked_at", "damage"])


def _leave(by: Person | str, artifact: Artifact, state: str) -> None:
    Artifact.objects.filter(pk=artifact.pk).update(state=state)
    if _is_active(artifact):
        _step_back(by, artifact)
    transaction.on_commit(partial(_forget, artifact.digest))


def _step_back(
    by: Person | str, artifact: Artifact, passing_over: Collection[object] = ()
) -> Artifact | None:
    previous = aliases_of(artifact.person, artifact.kind, passing_over=passing_over).previous
    if previous and not (previous.may_act_for(artifact.person_id, artifact.kind) and is_served(previous)):
        previous = None
    change = f"Went back from {artifact} to {previous}" if previous else f"Switched off {artifact}"
    services.switch(artifact.person, change=change, by=by, **{artifact.kind: previous})
    return previous


def _is_active(artifact: Artifact) -> bool:
    return artifact.pk in active_ids({artifact.person_id})


def _check_files(artifact: Artifact) -> None:
    if damage := verify(artifact):
        raise ArtifactError(damage)


def _forget(digest: str) -> None:
    try:
        evictions.announce(digest)
    except redis.RedisError as error:
        log.warning("broker unreachable, engines keep %s in memory: %s", digest[:12], error)
