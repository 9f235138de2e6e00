"""Sign in to the operators' panel: a role, a second factor, and a session that showed both."""

from __future__ import annotations

import time

from allauth.account.internal.flows import login
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client

from alignapp.accounts.models import Person
from alignapp.panel import roles


def signed_in_with(role: str, person: Person, *, fresh: bool = True) -> Client:
    """Return a client of this person in this role; `fresh` as if the code was entered just now."""
    roles.grant(person, role, "for the test")
    if not Authenticator.objects.filter(user=person).exists():
        TOTP.activate(person, generate_totp_secret())
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    at = time.time() - (0 if fresh else 3600)
    session[login._AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(person.pk)
    session[login.AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "mfa", "at": at, "reauthenticated": True}]
    session.save()
    return client
