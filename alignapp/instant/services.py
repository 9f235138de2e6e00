"""Keep a person's vector at what their ratings say now, and what they may do with it.

Knows nothing of pages or torch. `refresh` runs after every act that changes the ratings; a worker asks the
safety gate, and what it objects to never acts.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.accounts.consent import has_consent
from alignapp.adapters import dispatch, evictions, remote, store
from alignapp.audit.services import record
from alignapp.chat.models import Reply
from alignapp.instant.evidence import Evidence, gather
from alignapp.instant.models import InstantChoice, InstantVector, PersonalReward
from personalization import artifacts
from personalization.errors import AlignError
from personalization.steering.instant import BESIDE, write_vector

if TYPE_CHECKING:
    from uuid import UUID

    from alignapp.accounts.models import Person
    from alignapp.audit.models import AuditEvent
    from personalization.steering.instant import Direction

log = logging.getLogger(__name__)

METHOD = "instant"
# Rated answers without states that are read again at a time; the next ones follow.
READ_AT_ONCE = 8
_STARTS = {
    (False, True): "start.joined",
    (True, False): "start.left",
    (False, False): "start.switched",
    (True, True): "start.switched",
}


def follow_rating(person: Person) -> None:
    """Do `refresh` for a new rating: at its commit, or by a worker where the files lie in a bucket.

    Nobody who rates waits for the bucket then. A lost message costs little: the next rating counts all.
    """
    if remote.is_used():
        dispatch.wake_for_ratings(person.pk)
    else:
        refresh_soon(person)


def refresh_soon(person: Person) -> None:
    """Do `refresh` when the transaction commits; what was said is kept whatever comes of it."""
    transaction.on_commit(partial(refresh_or_log, person))


def refresh_or_log(person: Person) -> None:
    """Do `refresh`, or log why it cannot be done now."""
    try:
        refresh(person)
    except OSError:  # the disk is full, or the store is away: the next rating tries again
        log.exception("the vector of %s could not be brought up to date", person.pseudonym)


def refresh(person: Person) -> InstantVector | None:
    """Replace the person's vector by what their ratings say now, in one transaction; None where nothing.

    The same vector as before stays as it is. Raises OSError when it cannot be written.
    """
    with transaction.atomic():
        InstantChoice.objects.get_or_create(person=person)
        choice = InstantChoice.objects.select_for_update().get(person=person)  # one at a time
        evidence = gather(person, choice)
        PersonalReward.keep(person, evidence)
        current = InstantVector.objects.for_person(person).filter(is_current=True).first()
        for reply_id in evidence.missing[:READ_AT_ONCE]:
            dispatch.wake_for_states(reply_id)
        if evidence.direction is None:
            made = None
            InstantVector.objects.for_person(person).filter(is_current=True).update(is_current=False)
        else:
            made = _replaced(person, current, evidence, evidence.direction)
        _discard_superseded(person)
    return made


def _replaced(
    person: Person, current: InstantVector | None, evidence: Evidence, direction: Direction
) -> InstantVector:
    sealed = _seal(person, evidence, direction)
    weights = str(sealed.manifest["files"]["steering.safetensors"])
    same = {"weights": weights, "model_revision": evidence.model_revision}
    known = InstantVector.objects.for_person(person).filter(**same)
    judged = known.exclude(state=InstantVector.State.NEW).first()
    taste_id = evidence.began.get("common_taste")
    if current is not None and current.digest == sealed.digest:
        current.taste_id = taste_id  # earlier programs did not write it down
        current.save(update_fields=["taste"])
        return current
    InstantVector.objects.for_person(person).filter(is_current=True).update(is_current=False)
    made = InstantVector.objects.create(
        person=person,
        digest=sealed.digest,
        weights=weights,
        model_revision=evidence.model_revision,
        taste_id=taste_id,
        ratings=direction.ratings,
        prompts=direction.prompts,
        strength=direction.strength,
        summary=direction.as_dict(),
        # The very same tensor has the same verdict, on the same model.
        state=judged.state if judged else InstantVector.State.NEW,
        gate=judged.gate if judged else None,
    )
    if made.state == InstantVector.State.NEW and acts(InstantChoice.of(person)):
        dispatch.wake_for_gate(made)
    return made


def _seal(person: Person, evidence: Evidence, direction: Direction) -> artifacts.Sealed:
    settings.ARTIFACT_DIR.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=settings.ARTIFACT_DIR, prefix="instant-"))
    try:
        write_vector(direction, temporary)
        return store.seal(
            temporary,
            kind="vector",
            owner=str(person.pk),
            model_revision=evidence.model_revision,
            method=METHOD,
            parameters={},
            records=evidence.sources,
            metrics={**direction.as_dict(), **({"began": dict(evidence.began)} if evidence.began else {})},
        )
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # where writing failed: sealing takes it away itself


def _discard_superseded(person: Person) -> None:
    """Delete earlier vectors that no open reply needs: their rows now, files and memory after the commit."""
    replies = Reply.objects.for_person(person).exclude(status__in=Reply.ENDED)
    needed = {part["digest"] for parts in replies.values_list("interventions", flat=True) for part in parts}
    old = InstantVector.objects.for_person(person).filter(is_current=False).exclude(digest__in=needed)
    gone = list(old.values_list("pk", "digest"))
    InstantVector.objects.filter(pk__in=[pk for pk, _ in gone]).delete()
    kept = set(InstantVector.objects.for_person(person).values_list("digest", flat=True))
    if digests := [digest for _, digest in gone if digest not in kept]:
        transaction.on_commit(partial(_discard, person.pk, digests))


def _discard(person_id: UUID, digests: list[str]) -> None:
    for digest in digests:
        store.discard(digest, person_id)
    try:
        evictions.announce(*digests)
    except redis.RedisError as error:
        log.warning("broker unreachable, engines keep %d vectors in memory: %s", len(digests), error)


def current(person: Person) -> InstantVector | None:
    """Return the person's vector, whatever its state; none whose start is gone. One query."""
    kept = InstantVector.objects.for_person(person).exclude(taste__mean=b"")
    return kept.filter(is_current=True).first()


def reward_of(person: Person) -> PersonalReward | None:
    """Return what tells which answers the person likes; None where it is not known to. One query."""
    found = PersonalReward.objects.filter(person=person).first()
    return found if found is not None and found.is_useful else None


def acts(choice: InstantChoice) -> bool:
    """Say whether the person lets ratings act at all."""
    return choice.on and choice.share > 0


def share_of(choice: InstantChoice, acting: Collection[str]) -> float:
    """Return how much of what the ratings carry acts, 0 to 1, beside these parts of the composition.

    Alone all that the person asks for; beside another part less; beside a learned one only if asked to.
    """
    learned = set(acting) - {"values"}
    if not acts(choice) or (learned and not choice.beside):
        return 0.0
    return choice.share * (BESIDE if acting else 1.0)


def part_for(person: Person, acting: Collection[str]) -> dict[str, Any] | None:
    """Return the vector as a part of a composition; None where it does not act.

    `acting`: the other parts that act. At most three queries.
    """
    share = share_of(InstantChoice.of(person), acting)
    if share == 0:
        return None
    vector = current(person)
    if vector is None or vector.safe_share == 0:
        return None
    return {
        "artifact": str(vector.id),
        "digest": vector.digest,
        "kind": METHOD,
        "strength": share,  # at most: the worker lets no more act than passed the gate
        "ratings": vector.ratings,
    }


def choose(person: Person, *, on: bool, beside: bool, share: float) -> None:
    """Set the switch and how strongly the vector acts, 0 to 1; from the next reply on."""
    with transaction.atomic():
        InstantChoice.objects.update_or_create(
            person=person, defaults={"on": on, "beside": beside, "share": share}
        )
        record(person, "instant.switched", person, on=on, beside=beside, share=share)
    refresh_soon(person)


def choose_start(person: Person, *, starts: bool, gives: bool) -> AuditEvent | None:
    """Set whether the vector starts from more than ratings, and whether these count in the common taste.

    Returns what is on record of leaving the common taste, where the person leaves it now. Raises AlignError
    where ratings are to count that the person did not agree to learn from.
    """
    if gives and not has_consent(person):
        raise AlignError(
            _("Agree to training on your account page first: your ratings count nowhere without.")
        )
    with transaction.atomic():
        choice = InstantChoice.objects.select_for_update().get_or_create(person=person)[0]
        had = choice.gives
        choice.starts, choice.gives = starts, gives
        choice.save(update_fields=["starts", "gives"])
        event = record(person, _STARTS[had, gives], person, starts=starts)
    refresh_soon(person)
    return event if had and not gives else None


def forget(person: Person) -> None:
    """Put all ratings so far aside: the vector begins anew. The ratings themselves stay."""
    with transaction.atomic():
        InstantChoice.objects.update_or_create(person=person, defaults={"since": timezone.now()})
        record(person, "instant.forgotten", person)
    refresh_soon(person)


def remember(person: Person) -> None:
    """Let all ratings count again."""
    with transaction.atomic():
        InstantChoice.objects.update_or_create(person=person, defaults={"since": None})
        record(person, "instant.remembered", person)
    refresh_soon(person)
