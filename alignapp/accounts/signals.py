"""What happens beside a sign-up, a sign-in and a new password: a session's end, and audit events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.signals import password_changed, password_reset, user_signed_up
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import Signal, receiver
from django.http import HttpRequest
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.audit.services import record


@receiver(user_logged_in)
def end_session_in_time(request: HttpRequest, **_: Any) -> None:
    """Let the session end at a fixed time after signing in, not after the last visit."""
    request.session.set_expiry(timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE))


@receiver(user_signed_up)
def note_sign_up(user: Person, **_: Any) -> None:
    """Record that there is a new account."""
    record(user, "account.created", user)


@receiver(authenticator_added)
@receiver(authenticator_removed)
def note_second_factor(user: Person, authenticator: Authenticator, signal: Signal, **_: Any) -> None:
    """Record that an authenticator app was set up or taken off."""
    if authenticator.type == Authenticator.Type.TOTP:
        record(user, "second_factor.on" if signal is authenticator_added else "second_factor.off", user)


@receiver(authenticator_added)
def count_the_code(request: HttpRequest, user: Person, authenticator: Authenticator, **_: Any) -> None:
    """Let the code that proved a new authenticator app count as this session's second factor.

    It was typed a moment ago, after the password, and the app has no other one for half a minute.
    """
    if authenticator.type == Authenticator.Type.TOTP:
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


@receiver(password_changed)
@receiver(password_reset)
def note_new_password(user: Person, **_: Any) -> None:
    """Record that the password is another one; the person sees it on the account page."""
    record(user, "password.changed", user)
