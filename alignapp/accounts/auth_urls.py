"""The addresses of allauth that alignapp has pages for; the others do not exist here."""

from collections.abc import Callable
from importlib import import_module

from allauth.account import views
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path, re_path
from django.views.decorators.http import require_GET
from django.views.generic import View

from alignapp.accounts.two_factor import qr_code


def _reset(page: type[View]) -> Callable[..., HttpResponseBase]:
    """Return a page about a forgotten password that knows whether this site sends mail at all."""
    return page.as_view(extra_context={"sends_mail": lambda: bool(settings.EMAIL_URL)})


def _mfa(part: str, name: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return a view of allauth's second factor that is imported when it is asked for: that is slow."""

    def view(request: HttpRequest) -> HttpResponse:
        found = getattr(import_module(f"allauth.mfa.{part}.views"), name)
        response: HttpResponse = found(request)
        return response

    return view


urlpatterns = [
    path("signup/", views.signup, name="account_signup"),
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("confirm-email/", views.email_verification_sent, name="account_email_verification_sent"),
    re_path(r"^confirm-email/(?P<key>[-:\w]+)/$", views.confirm_email, name="account_confirm_email"),
    path("password/reset/", _reset(views.PasswordResetView), name="account_reset_password"),
    path(
        "password/reset/done/",
        _reset(views.PasswordResetDoneView),
        name="account_reset_password_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("2fa/", require_GET(_mfa("base", "index")), name="mfa_index"),
    path("2fa/code/", _mfa("base", "authenticate"), name="mfa_authenticate"),
    path("2fa/again/", _mfa("base", "reauthenticate"), name="mfa_reauthenticate"),
    path("2fa/app/", _mfa("totp", "activate_totp"), name="mfa_activate_totp"),
    path("2fa/app/qr.svg", qr_code, name="mfa_qr_code"),
    path("2fa/app/off/", _mfa("totp", "deactivate_totp"), name="mfa_deactivate_totp"),
    path(
        "2fa/recovery/",
        require_GET(_mfa("recovery_codes", "view_recovery_codes")),
        name="mfa_view_recovery_codes",
    ),
    path(
        "2fa/recovery/new/",
        _mfa("recovery_codes", "generate_recovery_codes"),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "2fa/recovery/file/",
        require_GET(_mfa("recovery_codes", "download_recovery_codes")),
        name="mfa_download_recovery_codes",
    ),
]
