"""A person, what they agreed to, and what is still to be removed of somebody who left."""

from __future__ import annotations

import secrets
import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from alignapp.owned import OwnedModel


def new_pseudonym() -> str:
    """Return a name that operators see instead of the e-mail address, like `p-3f9a1c`."""
    return f"p-{secrets.token_hex(5)}"


class PersonManager(BaseUserManager["Person"]):
    """Makes people from an e-mail address and a password."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> Person:
        if not email:
            raise ValueError("A person needs an e-mail address.")
        person = self.model(email=self.normalize_email(email).lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> Person:
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})


class Person(AbstractUser):
    """Somebody who signs in with an e-mail address; `pseudonym` stands for them in every log."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = first_name = last_name = None  # type: ignore[assignment]
    email = models.EmailField(unique=True)
    pseudonym = models.CharField(max_length=16, unique=True, default=new_pseudonym, editable=False)
    # How many answers a first message gets; 1 turns candidates off.
    candidate_count = models.PositiveSmallIntegerField(
        default=4, validators=[MinValueValidator(1), MaxValueValidator(4)]
    )

    objects: ClassVar[PersonManager] = PersonManager()  # type: ignore[assignment] # no username here
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"

    def __str__(self) -> str:
        return self.pseudonym


class Consent(OwnedModel):
    """One person's agreement to one version of the consent text; withdrawing adds a date, nothing is lost."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="consents")
    text_version = models.CharField(max_length=20)
    text_sha256 = models.CharField(max_length=64)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)


class Erasure(models.Model):
    """What somebody who left had outside of the database, until it is surely gone. Ids only, no words."""

    at = models.DateTimeField(auto_now_add=True)
    person_id = models.UUIDField()  # of nobody any more; artifacts name it as their owner
    # {"digests": [...], "jobs": [...], "replies": [...], "open_replies": [...]}
    leftovers = models.JSONField()
