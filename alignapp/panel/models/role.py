"""Who has which role in the panel, and whose data a supporter may look at for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from alignapp.owned import OwnedModel
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


class RoleGrant(OwnedModel):
    """One role of one person, for as long as it has no end. Ended ones stay, so that history can be read."""

    class Role(models.TextChoices):
        OPERATOR = "operator", "Operator"  # acts
        AUDITOR = "auditor", "Auditor"  # reads everything but people's words
        SUPPORT = "support", "Support"  # helps one person at a time, by that person's leave

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(max_length=10, choices=Role)
    reason = models.CharField(max_length=200)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["person", "role"], condition=Q(ended_at=None), name="one_grant_per_role"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} for {self.person}"


class SupportLeave(OwnedModel):
    """A person's leave that one supporter may look at their data until a moment, unless taken back before."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="support_leaves"
    )
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)  # taken back, or closed by the supporter
    helper = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=Q(ended_at=None), name="one_leave_per_person"
            ),
            models.UniqueConstraint(
                fields=["helper"], condition=Q(ended_at=None), name="one_person_per_supporter"
            ),
        ]

    def __str__(self) -> str:
        return f"leave of {self.person} until {self.until:%Y-%m-%d %H:%M}"

    @classmethod
    def in_force(cls) -> models.QuerySet[SupportLeave]:
        """Return the leaves that hold now."""
        return cls.objects.filter(ended_at=None, until__gt=timezone.now())

    @classmethod
    def give(cls, person: Person, lasting: timedelta) -> SupportLeave:
        """Give leave anew; one that was in force is replaced, and whoever used it must take it up again."""
        now = timezone.now()
        with transaction.atomic():
            cls.objects.filter(person=person, ended_at=None).update(ended_at=now)
            return cls.objects.create(person=person, until=now + lasting)

    @classmethod
    def take_back(cls, person: Person) -> bool:
        """End a person's leave now; say whether there was one."""
        open_leaves = cls.objects.filter(person=person, ended_at=None)
        return bool(open_leaves.update(ended_at=timezone.now()))

    def take_up(self, helper: Person) -> None:
        """Let this supporter look. Raises AlignError when another has it, or they look at another person."""
        now = timezone.now()
        try:
            with transaction.atomic():
                SupportLeave.objects.filter(helper=helper, ended_at=None, until__lte=now).update(ended_at=now)
                free = SupportLeave.in_force().filter(Q(helper=None) | Q(helper=helper), pk=self.pk)
                if not free.update(helper=helper):
                    raise AlignError("Another supporter helps this person, or the leave has ended.")
        except IntegrityError:
            raise AlignError("You help another person at the moment. Close that case first.") from None
        self.helper = helper
