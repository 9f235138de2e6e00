"""What a person agrees to, and whether they still do. The text is versioned and shown at sign-up."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from alignapp.accounts.models import Consent
from alignapp.adapters.models import Job

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

# Sent in the transaction in which somebody's answers stop being for training, with `person` and `project`
# (None: in every project), so that what was learned from several people's rows together goes.
training_refused = Signal()

VERSION = "2026-11-27.5"
# (heading, text): what is collected, what is trained, who sees it, how to leave.
TEXT: tuple[tuple[str, str], ...] = (
    (
        "What is collected",
        "What you state about yourself (values, personality, profile), your conversations, and all "
        "feedback that you give on answers. Each part is optional, and each conversation can be kept "
        "out of learning.",
    ),
    (
        "What is trained",
        "From your own records only: adapters and steering vectors that change how the model answers you. "
        "They are personal data, used for nobody else and in no shared model. The exceptions you make "
        "yourself: where you take part in a project of several people and tick there that models may be "
        "trained on your answers, those who run it may train one of yours, one of the whole group, and "
        "what tells which answers the group prefers; and where you also tick that, a merge of several of "
        "its people's adapters, yours among them, may be given to those of them who ticked it too. And "
        "where you tick it under My alignment, your ratings count in what people here like in common, from "
        "which new people start: a mean of at least 300 people with noise in it. How "
        "well each way of learning did is counted over at least five people, to advise others.",
    ),
    (
        "Who can see it",
        "You. The pages show operators jobs, sizes and numbers under a pseudonym, not your words. An "
        "operator who must read them gives a reason first, a supporter needs your leave, and your account "
        "page says who looked, at what and why. What you answer in a project of several people is seen by "
        "those who run it; it tells you so before you join. Whoever runs the machines could read their "
        "disks. Your data stays on these machines.",
    ),
    (
        "How to leave",
        "On your account page you can export everything, withdraw this consent (training stops), or delete "
        "everything: rows, files and what is loaded in memory. You need no reason, and it acts at once. "
        "Only the audit record keeps that a pseudonym was here, and backups keep theirs until they expire.",
    ),
)


def text_sha256() -> str:
    """Return the hash of the text, stored with each consent so that it is clear what was agreed to."""
    return hashlib.sha256(repr(TEXT).encode()).hexdigest()


def give_consent(person: Person) -> Consent:
    """Record that the person agrees to the current text."""
    return Consent.objects.create(person=person, text_version=VERSION, text_sha256=text_sha256())


def withdraw_consent(person: Person) -> None:
    """Record that the person agrees no more, and stop what is being trained; the consent stays on record."""
    with transaction.atomic():
        in_force = Consent.objects.for_person(person).filter(withdrawn_at__isnull=True)
        in_force.update(withdrawn_at=timezone.now())
        for job in Job.objects.for_person(person).exclude(state__in=Job.ENDED):
            job.cancel()
        training_refused.send(sender=None, person=person, project=None)


def has_consent(person: Person) -> bool:
    """Say whether a consent is in force. One query."""
    return in_force(person) is not None


def in_force(person: Person) -> Consent | None:
    """Return the latest consent that was not withdrawn. One query."""
    return Consent.objects.for_person(person).filter(withdrawn_at__isnull=True).first()
