"""Setting the second factor up: whoever just typed its code is not asked for another one."""

from __future__ import annotations

import time

import pytest
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, format_hotp_value, hotp_value
from django.test import Client
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.panel import roles

# With transactions: what happens when it is committed belongs to the request.
pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a long pass phrase"


def test_an_operator_who_sets_it_up_enters_the_panel_with_that_code():
    person = Person.objects.create_user("op@example.org", PASSWORD)
    roles.grant(person, "operator", "for the test")
    client = Client()
    client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    setting_up = reverse("mfa_activate_totp")
    client.get(setting_up)
    secret = client.session[SECRET_SESSION_KEY]
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    client.post(setting_up, {"code": "000000" if code != "000000" else "111111"})
    assert client.get(reverse("panel:overview"))["Location"] == setting_up

    client.post(setting_up, {"code": code})
    assert client.get(reverse("panel:overview")).status_code == 200
    # In another session, which showed no code, it is asked for.
    elsewhere = Client()
    elsewhere.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    assert reverse("mfa_reauthenticate") in elsewhere.get(reverse("panel:overview"))["Location"]
