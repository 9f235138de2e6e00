"""What a person states about themselves: immutable versions, and the answers collected for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from alignapp.owned import OwnedModel
from personalization.inventory.items import ITEM_COUNT

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


class ProfileVersion(OwnedModel):
    """Everything one person had stated at one moment. Never changed: a change is the next number.

    The JSON fields follow the schemas of `personalization.values`, `.inventory` and `.profiles`.
    """

    class Section(models.TextChoices):
        VALUES = "values", "Values"
        PERSONALITY = "personality", "Personality"
        SURVEY = "survey", "Profile"
        MESSAGE = "message", "System message"

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile_versions"
    )
    number = models.PositiveIntegerField()
    changed_section = models.CharField(max_length=20, choices=Section)
    # {"chosen": [{"key": "style.brief", "importance": 1..5}], "own": [{"text": "...", "importance": 1..5}]}
    values = models.JSONField(default=dict, blank=True)
    # {"answers": {"1": 1..5}, "sex": "", "age": null, "domains": {"N": {...}}, "facets": {"N1": {...}}}
    personality = models.JSONField(default=dict, blank=True)
    # {"preferences": {"factuality": 0..100}, "self_description": "", "system_string": "", ...}; what was
    # not answered is not there
    survey = models.JSONField(default=dict, blank=True)
    system_message = models.TextField(blank=True)
    system_lines = models.JSONField(default=list, blank=True)  # [{"text": "...", "source": "style.brief"}]
    system_edited = models.BooleanField(default=False)

    class Meta:
        ordering = ("-number",)
        constraints = [
            models.UniqueConstraint(fields=["person", "number"], name="profile_version_number"),
        ]

    def __str__(self) -> str:
        return f"profile v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only. Raises TypeError when the row exists: make the next version instead."""
        if not self._state.adding:
            raise TypeError("A profile version is never changed; make the next one.")
        super().save(*args, **kwargs)


class InventoryAnswer(OwnedModel):
    """One answer to one item of the IPIP-NEO-120, as agreement with the statement as worded (1 to 5)."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="inventory_answers"
    )
    item = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(ITEM_COUNT)])
    value = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(5)])
    answered_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("item",)
        constraints = [
            models.UniqueConstraint(fields=["person", "item"], name="one_answer_per_item"),
            models.CheckConstraint(
                condition=models.Q(value__gte=1, value__lte=5, item__gte=1, item__lte=ITEM_COUNT),
                name="inventory_answer_range",
            ),
        ]

    @classmethod
    def keep(cls, person: Person, answers: Mapping[int, int]) -> None:
        """Save answers, the new over the old ones, in one statement: repeating it changes nothing."""
        cls.objects.bulk_create(
            [cls(person=person, item=item, value=value) for item, value in answers.items()],
            update_conflicts=True,
            unique_fields=["person", "item"],
            update_fields=["value", "answered_at"],
        )

    @classmethod
    def of(cls, person: Person) -> dict[int, int]:
        """Return the person's answers by item number. Executes a query."""
        return dict(cls.objects.for_person(person).values_list("item", "value"))
