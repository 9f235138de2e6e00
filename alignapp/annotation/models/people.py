"""Who takes part in a project: members with a role, and invitations that are not answered yet."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from alignapp.annotation.access import InProjectQuerySet, Role, pseudonym
from alignapp.annotation.models.project import Project
from alignapp.owned import OwnedModel

INVITATION_DAYS = 14
# Of what `annotation/consent.html` says; who agreed to other words is asked again.
WORDS_VERSION = "3"


class Membership(OwnedModel):
    """One person's role in one project, and what they agreed to there."""

    project_path = "project"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    consented_at = models.DateTimeField(
        null=True, blank=True
    )  # to the project's text; then only one annotates
    consent_sha256 = models.CharField(max_length=64, blank=True)  # of the text that was agreed to
    may_train = models.BooleanField(default=False)  # this person's answers may be trained on
    lends = models.BooleanField(default=False)  # this person's own model may write answers for the project
    # Merges with this person's adapter in them may be given to members who said so, too, and theirs to them.
    shares = models.BooleanField(default=False)
    # Of the project's languages those in which this person judges; none: in all of them.
    languages = models.JSONField(default=list, blank=True)
    # Missed attention checks that a manager let pass.
    attention_pardoned = models.PositiveSmallIntegerField(default=0)

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("created_at",)
        constraints = [
            models.UniqueConstraint(fields=["project", "person"], name="one_role_of_a_person"),
            models.UniqueConstraint(fields=["project"], condition=Q(role="owner"), name="one_owner"),
        ]

    @property
    def exported_as(self) -> str:
        """The name under which this person's answers leave the project: a pseudonym, or what a file said."""
        imported = getattr(self.person, "imported_as", None)
        return imported.name if imported else pseudonym(self.project_id, self.person_id)

    @property
    def manages(self) -> bool:
        """Say whether this member sees and changes everything."""
        return self.role in (Role.OWNER, Role.MANAGER)

    @property
    def has_consented(self) -> bool:
        """Say whether the person agreed to the project's text as it is now."""
        return self.consented_at is not None and self.consent_sha256 == consent_digest(self.project)


def consent_digest(project: Project) -> str:
    """Return the hash of the text that a member agrees to."""
    return hashlib.sha256(f"{WORDS_VERSION}\0{project.consent_text}".encode()).hexdigest()


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


class InvitationQuerySet(InProjectQuerySet):
    """Invitations by whether they can still be taken."""

    def standing(self) -> InvitationQuerySet:
        """Return those that are neither taken nor too old."""
        return self.filter(taken_at=None, expires_at__gt=timezone.now())


def in_a_fortnight() -> datetime:
    """Return when an invitation that is made now ends."""
    return timezone.now() + timedelta(days=INVITATION_DAYS)


class Invitation(OwnedModel):
    """A link by which one person joins a project. Whoever has it can take it, once."""

    owner_path = "project__owner"
    project_path = "project"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role, default=Role.ANNOTATOR)
    email = models.EmailField(blank=True)  # for whom it was made; empty: for whoever gets the link
    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    expires_at = models.DateTimeField(default=in_a_fortnight)
    taken_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(name="nobody_is_invited_as_owner", condition=~Q(role="owner")),
        ]
