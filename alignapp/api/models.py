"""Personal access tokens: what a program shows instead of a password. Only a hash of each is kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from alignapp.owned import OwnedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alignapp.accounts.models import Person

# So that scanners for leaked secrets can find one.
PREFIX = "align_"
SHOWN = len(PREFIX) + 6  # characters that are kept, for the person to tell tokens apart
USED_EVERY = timedelta(minutes=1)  # "last used" is no finer, so that not every request writes


class Scope(models.TextChoices):
    """What a token may be used for."""

    CHAT = "chat", _("Ask for answers")
    MODELS = "models", _("List models")
    PROJECTS = "projects", _("Import into and export from projects that you manage")
    # Of people with a role in the operators' panel, and made there (`alignapp.panel.tokens`).
    OPERATE_READ = "operate:read", _("Read what the panel shows")
    OPERATE_ACT = "operate:act", _("Act on artifacts and jobs")


PERSONAL = (Scope.CHAT, Scope.MODELS, Scope.PROJECTS)  # what everybody may give a token


class ApiToken(OwnedModel):
    """One token of one person. It is usable until it is revoked or expires."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    beginning = models.CharField(max_length=SHOWN)
    hash = models.CharField(max_length=64, unique=True)  # SHA-256: the secret itself has 256 bits
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.beginning}…)"

    @classmethod
    def issue(
        cls, person: Person, *, name: str, scopes: Sequence[str], days: int | None = None
    ) -> tuple[ApiToken, str]:
        """Make a token and return it with its secret, which nobody can read again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        token = cls.objects.create(
            person=person,
            name=name,
            beginning=secret[:SHOWN],
            hash=_hash(secret),
            scopes=sorted(scopes),
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        return token, secret

    @classmethod
    def find(cls, secret: str) -> ApiToken | None:
        """Return the usable token with this secret, of an active person."""
        now = timezone.now()
        alive = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
        usable = cls.objects.filter(alive, hash=_hash(secret), revoked_at=None, person__is_active=True)
        token = usable.select_related("person").first()
        if token is not None and (token.last_used_at is None or now - token.last_used_at > USED_EVERY):
            cls.objects.filter(pk=token.pk).update(last_used_at=now)
        return token

    @property
    def is_usable(self) -> bool:
        """Say whether a program that shows it is let in."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    def revoke(self) -> bool:
        """Let nobody in with it any more; False where it was revoked before."""
        living = ApiToken.objects.filter(pk=self.pk, revoked_at=None)
        return bool(living.update(revoked_at=timezone.now()))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
