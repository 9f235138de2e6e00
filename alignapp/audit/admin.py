"""The audit record in the admin: to read only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from alignapp.audit.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin):
    """Lists events; nobody writes, changes or forgets history. Reasons may quote words and are not shown."""

    list_display = ("at", "actor_label", "subject_label", "verb", "object_type", "masked")
    list_filter = ("verb",)
    search_fields = ("actor_label", "subject_label", "object_id")
    fields = (
        *("at", "actor_label", "subject_label", "verb", "object_type", "object_id"),
        *("masked", "previous_hash", "hash"),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Refuse."""
        return False
