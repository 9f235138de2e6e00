"""People in the admin: by pseudonym, without e-mail addresses and without their words."""

from __future__ import annotations

from typing import Any

import allauth.account.admin  # registers now, so that it can be undone below
import allauth.mfa.admin  # noqa: F401 - the same
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from alignapp.accounts.models import Person
from alignapp.audit.services import record

admin.site.unregister(EmailAddress)  # it lists everybody's addresses
admin.site.unregister(Authenticator)  # it shows and changes the secrets of second factors


@admin.register(Person)
class PersonAdmin(admin.ModelAdmin):
    """Lists people; an operator may switch an account off and on. People erase themselves."""

    list_display = ("pseudonym", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("pseudonym",)
    ordering = ("-date_joined",)
    fields = ("pseudonym", "is_active", "is_staff", "date_joined", "last_login")
    readonly_fields = ("pseudonym", "is_staff", "date_joined", "last_login")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """People sign up, with consent."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Only erasing removes files and masks the audit record."""
        return False

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:  # noqa: FBT001
        """Record who switched an account off or on."""
        super().save_model(request, obj, form, change)
        if "is_active" in form.changed_data:
            verb = "account.switched_on" if obj.is_active else "account.switched_off"
            assert request.user.is_authenticated  # the admin site lets nobody else in
            record(request.user, verb, obj)
