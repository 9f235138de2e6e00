"""Operators' lists: methods with a switch, jobs and artifacts under pseudonyms, no words of a person."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from alignapp.adapters import options
from alignapp.adapters.models import Artifact, Job, MethodInfo


class ReadOnly(admin.ModelAdmin):
    """Shows rows; makes, changes and deletes none."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(MethodInfo)
class MethodAdmin(ReadOnly):
    """Methods as the workers described them; an operator may switch one off."""

    list_display = ("name", "data", "produces", "paper", "enabled")
    fields = ("name", "summary", "data", "produces", "paper", "parameters", "enabled")
    readonly_fields = ("name", "summary", "data", "produces", "paper", "parameters")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: MethodInfo, form: Any, change: bool) -> None:  # noqa: FBT001, ARG002
        if "enabled" in form.changed_data:
            assert request.user.is_authenticated  # the admin site lets nobody else in
            name = f"{options.METHOD}{obj.name}"
            options.change(name, obj.enabled, by=request.user, reason=_("Switched in the admin"))


@admin.register(Job)
class JobAdmin(ReadOnly):
    """Jobs by pseudonym: states, times, and of a failure its kind only, for the rest may quote a person."""

    list_display = (
        "short_id",
        "pseudonym",
        "method",
        "state",
        "phase",
        "attempts",
        "created_at",
        "finished_at",
    )
    list_filter = ("state", "method")
    list_select_related = ("person",)
    fields = (
        *("short_id", "pseudonym", "method", "parameters", "state", "phase", "progress", "seconds_left"),
        *("attempts", "cancel_requested", "lease_owner", "lease_until", "created_at", "started_at"),
        *("finished_at", "cause"),
    )

    @admin.display(description="job", ordering="id")
    def short_id(self, job: Job) -> str:
        return str(job.id)[:8]

    @admin.display(description="person", ordering="person__pseudonym")
    def pseudonym(self, job: Job) -> str:
        return job.person.pseudonym

    @admin.display(description="cause")
    def cause(self, job: Job) -> str:
        return job.reason.partition(": ")[0]


@admin.register(Artifact)
class ArtifactAdmin(ReadOnly):
    """Artifacts by pseudonym: sizes, digests, states. Report cards hold words and are not shown."""

    list_display = ("pseudonym", "kind", "number", "state", "size_bytes", "short_digest", "created_at")
    list_filter = ("kind", "state")
    list_select_related = ("person",)
    fields = ("pseudonym", "kind", "number", "state", "digest", "size_bytes", "model_revision", "created_at")

    @admin.display(description="person", ordering="person__pseudonym")
    def pseudonym(self, artifact: Artifact) -> str:
        return artifact.person.pseudonym

    @admin.display(description="digest")
    def short_digest(self, artifact: Artifact) -> str:
        return artifact.digest[:12]
