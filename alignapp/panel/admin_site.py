"""Django's own admin, which shows raw rows, behind the panel's door: the same role, the same two factors.

It signs nobody in and changes no password: there is one page for each, and the admin sends there.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from alignapp.panel.roles import Role, needs, roles_of, signed_in_with_two_factors


class OperatorsSite(AdminSite):
    """Opens to operators whom somebody on the host made staff (`manage.py createsuperuser`)."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Say whether this session may see anything here; what it may change, Django's permissions say."""
        return (
            super().has_permission(request)
            and Role.OPERATOR in roles_of(request.user)  # type: ignore[arg-type] # staff is somebody
            and signed_in_with_two_factors(request)
        )

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Let a page of the admin be opened by whom the panel would let in, and by staff only."""
        return needs(Role.OPERATOR)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        """Send to the one page where people sign in, or, whoever did, to the admin's first page."""
        return needs(Role.OPERATOR)(self._first_page)(request)  # type: ignore[return-value]

    def password_change(self, request: HttpRequest, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        """Send to the one page where passwords are changed."""
        return redirect("account_change_password")

    def _first_page(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_permission(request):  # an operator who is no staff
            raise PermissionDenied(f"{request.user} is no staff")
        return redirect("admin:index")
