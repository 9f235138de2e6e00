"""What an operator changed while everything runs: one row for each change, never altered."""

from __future__ import annotations

from django.db import models


class OptionChange(models.Model):
    """One change of one option of `alignapp.adapters.options`. The newest one of a name is in force.

    `value` and `before` are as the option has them; null is the program's own default. `number` counts the
    changes of a name, so that of two that are made at the same time one is refused.
    """

    name = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    value = models.JSONField(null=True)
    before = models.JSONField(null=True)
    by_label = models.CharField(
        max_length=40
    )  # a pseudonym, or "terminal"; the audit event links to the person
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["name", "number"], name="one_change_of_a_number")]

    def __str__(self) -> str:
        return f"{self.name} change {self.number}"
