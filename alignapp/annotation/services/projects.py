"""Projects, their guidelines and their people: what is made, joined, left and handed over."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.accounts.consent import training_refused
from alignapp.annotation.access import MANAGING, Role
from alignapp.annotation.errors import Refused
from alignapp.annotation.models import Assignment, Guidelines, Invitation, Membership, Project
from alignapp.annotation.models.people import consent_digest
from alignapp.annotation.services import items
from alignapp.audit.services import record

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

# Sent in the transaction in which a member no longer lets merges with their adapter be given to others, with
# `member`. Who takes back their consent to training itself sends `training_refused` only.
sharing_refused = Signal()

DEFAULT_PROTOCOLS = ({"name": "pick-1-of-n", "required": True},)


def create_project(
    person: Person, *, guidelines: str = "", invited: Iterable[str] = (), **fields: Any
) -> Project:
    """Make a project that this person owns, with guidelines and annotators' links; `fields` are columns."""
    fields.setdefault("protocols", [dict(one) for one in DEFAULT_PROTOCOLS])
    with transaction.atomic():
        project = Project.objects.create(owner=person, **fields)
        Membership.objects.create(project=project, person=person, role=Role.OWNER)
        if guidelines.strip():
            Guidelines.add(project, guidelines)
        for email in invited:
            invite(project, Role.ANNOTATOR, email)
    return project


def change_project(project: Project) -> None:
    """Store changed settings, and let the items follow what they say of overlap."""
    with transaction.atomic():
        project.save()
        items.plan(project)


def add_guidelines(project: Project, text: str, note: str = "") -> Guidelines:
    """Store a new version. Raises Refused when nothing is new in it."""
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # two at once get two numbers
        current = project.guidelines
        if current and current.text == text:
            raise Refused(_("These are the guidelines that are in force; nothing was changed."))
        return Guidelines.add(project, text, note)


def invite(project: Project, role: str, email: str = "") -> Invitation:
    """Make a link by which somebody joins with this role. Raises Refused for owners."""
    if role == Role.OWNER:
        raise Refused(_("A project has one owner. Invite a manager instead."))
    return Invitation.objects.create(project=project, role=role, email=email.lower())


def join(token: str, person: Person) -> Membership:
    """Take an invitation. Raises Refused when it is gone; a member keeps the role that they have.

    One conditional UPDATE: of two people who take it at once, one gets it.
    """
    invitation = Invitation.objects.filter(token=token).select_related("project").first()
    if invitation is None:
        raise Refused(_("There is no such invitation. Ask for a new link."))
    if found := Membership.objects.filter(project=invitation.project, person=person).first():
        return found
    if invitation.email and invitation.email != person.email.lower():
        raise Refused(_("This invitation is for another address. Sign in with that one, or ask for a link."))
    with transaction.atomic():
        if not Invitation.objects.standing().filter(pk=invitation.pk).update(taken_at=timezone.now()):
            raise Refused(_("This invitation was used or is too old. Ask for a new link."))
        member = Membership.objects.create(project=invitation.project, person=person, role=invitation.role)
        record(person, "project.joined", member, role=member.role)
    return member


def agree(
    member: Membership,
    *,
    may_train: bool,
    lends: bool = False,
    shares: bool = False,
    languages: Sequence[str] = (),
) -> None:
    """Record that a member agrees to the text as it is now, and to which of training, lending and sharing.

    Nothing is shared of whom nothing may be trained on. `languages` are those of the project in which they
    judge; all of them are the same as none.
    """
    chosen = [code for code in member.project.languages if code in languages]
    member.languages = [] if len(chosen) == len(member.project.languages) else chosen
    shared = member.shares
    member.consented_at = timezone.now()
    member.consent_sha256 = consent_digest(member.project)
    member.may_train, member.lends, member.shares = may_train, lends, may_train and shares
    with transaction.atomic():
        member.save(
            update_fields=["consented_at", "consent_sha256", "may_train", "lends", "shares", "languages"]
        )
        if not may_train:
            training_refused.send(sender=None, person=member.person, project=member.project)
        elif shared and not member.shares:
            sharing_refused.send(sender=None, member=member)


def check_may_leave(member: Membership) -> None:
    """Raise Refused for whoever the project would be without an owner."""
    if member.role == Role.OWNER:
        raise Refused(_("The owner cannot leave. Delete the project, or your account, instead."))


def remove(member: Membership, *, with_answers: bool = False) -> None:
    """End a membership. What was submitted stays, but is not trained on; what was only held is given back.

    `with_answers`: what was submitted is deleted, too, and its places are free again. Raises Refused.
    """
    check_may_leave(member)
    with transaction.atomic():
        theirs = Assignment.objects.filter(item__project=member.project, annotator=member.person)
        states = Assignment.TAKING if with_answers else Assignment.OPEN
        for assignment in theirs.filter(state__in=states).select_related("item"):
            items.give_back(assignment, _("The annotator left."), states)
        theirs.filter(state=Assignment.State.DISCARDED).update(draft={})
        if with_answers:
            theirs.delete()
        training_refused.send(sender=None, person=member.person, project=member.project)
        member.delete()


def leave(member: Membership, *, with_answers: bool = False) -> None:
    """Let a member go by their own wish, which is on record; otherwise as `remove`. Raises Refused."""
    with transaction.atomic():
        remove(member, with_answers=with_answers)
        record(member.person, "project.left", member.project, with_answers=with_answers)


def leave_everything(person: Person) -> None:
    """Before a person is erased: their projects go to their first manager, their places to others.

    A project without a manager goes with its owner.
    """
    training_refused.send(sender=None, person=person, project=None)
    for assignment in Assignment.objects.for_person(person).select_related("item"):
        items.give_back(assignment, "", Assignment.TAKING)
    for project in Project.objects.for_person(person):
        heir = project.memberships.filter(role__in=MANAGING).exclude(person=person).first()
        if heir is not None:
            project.memberships.filter(person=person).delete()
            Membership.objects.filter(pk=heir.pk).update(role=Role.OWNER)
            Project.objects.filter(pk=project.pk).update(owner=heir.person_id)


def member_of(person: Person, project_id: uuid.UUID) -> Membership | None:
    """Return a person's membership with its project; None when there is none."""
    mine = Membership.objects.filter(person=person, project_id=project_id)
    return mine.select_related("project", "person").first()
