"""Look at a person's data: who may, and what is put on record about it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.http import Http404
from django.shortcuts import get_object_or_404

from alignapp.accounts.models import Person
from alignapp.audit.services import record
from alignapp.chat.models import Turn
from alignapp.feedback.models import Feedback
from alignapp.panel.models import SupportLeave
from alignapp.panel.roles import READERS, Role
from alignapp.profiles.services import current_profile

if TYPE_CHECKING:
    from alignapp.panel.roles import PanelRequest

SHOWN = 20
REVEALED, TAKEN_UP, CLOSED = "person.revealed", "support.took_up", "support.closed"
LOOKS = (REVEALED, TAKEN_UP, CLOSED)  # what a person is told of on their own page

Lines = list[tuple[str, str]]  # (what it is, the words)


def visible_person(request: PanelRequest, person_id: uuid.UUID) -> Person:
    """Return a person whose page may be opened; a supporter opens that of whom they help. Else 404."""
    person: Person = get_object_or_404(Person, id=person_id)
    if request.roles & set(READERS) or is_helped_by(person, request.user):
        return person
    raise Http404


def is_helped_by(person: Person, helper: Person) -> bool:
    """Say whether this supporter has the person's leave now."""
    return SupportLeave.in_force().filter(person=person, helper=helper).exists()


def may_reveal(request: PanelRequest, person: Person) -> bool:
    """Say whether words may be shown: to operators, and to the supporter who has leave. Never to auditors."""
    return Role.OPERATOR in request.roles or (
        Role.SUPPORT in request.roles and is_helped_by(person, request.user)
    )


def reveal(person: Person, what: str, reason: str, *, by: Person) -> Lines:
    """Return a person's words, after it is on record who looks at what, and why."""
    record(by, REVEALED, person, reason=reason, what=what)
    return list(_READERS[what](person))


def _address(person: Person) -> Iterator[tuple[str, str]]:
    yield "e-mail address", person.email


def _profile(person: Person) -> Iterator[tuple[str, str]]:
    profile = current_profile(person)
    if profile and profile.system_message:
        yield f"system message of profile v{profile.number}", profile.system_message


def _conversations(person: Person) -> Iterator[tuple[str, str]]:
    turns = (
        Turn.objects.filter(conversation__person=person).order_by("-created_at").prefetch_related("replies")
    )
    for turn in turns[:SHOWN]:
        yield f"message, {turn.created_at:%Y-%m-%d %H:%M}", turn.text
        for reply in turn.replies.all():
            yield f"answer {reply.position + 1}", reply.text


def _feedback(person: Person) -> Iterator[tuple[str, str]]:
    for act in Feedback.objects.for_person(person).exclude(text="").order_by("-created_at")[:SHOWN]:
        yield f"{act.kind}, {act.created_at:%Y-%m-%d %H:%M}", act.text


_READERS: dict[str, Any] = {
    "address": _address,
    "profile": _profile,
    "conversations": _conversations,
    "feedback": _feedback,
}
