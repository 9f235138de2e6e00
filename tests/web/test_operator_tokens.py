"""Tokens of operators and auditors: who makes them, what they open by role, and when they end."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.api.models import ApiToken, Scope
from alignapp.audit.models import AuditEvent
from alignapp.panel import roles
from tests.contracts.routes import ROUTES
from tests.contracts.walk import address
from tests.web.everything import everything_of
from tests.web.operating import signed_in_with
from tests.web.programs import BASE, Program, auditors_program, operators_program

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db) -> Program:
    return operators_program()


@pytest.fixture
def auditor(db) -> Program:
    return auditors_program()


class TestMakingTokens:
    def test_an_operator_makes_one_that_works_and_is_on_record(self, other):
        client = signed_in_with("operator", other)
        page = client.post(
            reverse("panel:new_token"),
            {"name": "alarms", "scopes": ["operate:read", "operate:act"], "lifetime": "7"},
        )
        secret = re.search(r'value="(align_[^"]+)"', page.content.decode())[1]
        token = ApiToken.objects.get()
        assert token.expires_at - timezone.now() < timedelta(days=7)
        assert Client().get(f"{BASE}/jobs", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
        assert AuditEvent.objects.get(verb="token.made").evidence["scopes"] == token.scopes
        assert secret not in client.get(reverse("panel:tokens")).content.decode()

    def test_an_auditor_may_not_have_one_that_acts_and_nobody_one_without_an_end(self, other):
        client = signed_in_with("auditor", other)
        given = {"name": "x", "scopes": ["operate:read"], "lifetime": "7"}
        for wrong in ({"scopes": ["operate:act"]}, {"scopes": ["chat"]}, {"lifetime": "0"}, {"name": ""}):
            page = client.post(reverse("panel:new_token"), {**given, **wrong})
            assert page.status_code == 400
        assert not ApiToken.objects.exists()
        assert client.post(reverse("panel:new_token"), given).status_code == 200

    def test_a_code_must_have_been_shown_lately_a_password_is_not_enough(self, other):
        client = signed_in_with("operator", other, fresh=False)
        session = client.session
        session["account_authentication_methods"] += [
            {"method": "password", "at": 4e9, "reauthenticated": True}
        ]
        session.save()
        for ask in (client.get, client.post):
            answer = ask(reverse("panel:new_token"))
            assert answer["Location"].startswith(reverse("mfa_reauthenticate"))

    def test_the_account_page_offers_only_what_everybody_may(self, owner, client_of):
        client = client_of(owner)
        assert "operate:" not in client.get(reverse("api:tokens")).content.decode()
        given = {"name": "x", "scopes": ["operate:read"], "lifetime": "30"}
        assert client.post(reverse("api:tokens"), given).status_code == 400
        assert not ApiToken.objects.exists()

    def test_operators_revoke_anybodys_auditors_their_own(self, operator, auditor):
        url = reverse("panel:revoke_token", args=[operator.token.pk])
        as_auditor, as_operator = Client(), Client()
        for client, person in ((as_auditor, auditor.person), (as_operator, operator.person)):
            roles.revoke(person, "auditor" if person == auditor.person else "operator", "anew")
            client = signed_in_with("auditor" if person == auditor.person else "operator", person)
            status = client.post(url).status_code
            assert status == (404 if person == auditor.person else 302)
        assert operator.error("jobs") == (401, "invalid_api_key", None)
        assert AuditEvent.objects.filter(verb="token.revoked").count() == 1


class TestWhoIsLetIn:
    def test_no_token_a_session_or_a_chats_token_open_nothing(self, owner, other):
        for client in (Client(), signed_in_with("operator", other)):
            response = client.get(f"{BASE}/jobs")
            assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
            assert response["WWW-Authenticate"] == "Bearer"
        own = Program(owner, "operator", "chat", "models")
        assert own.error("jobs") == (403, "missing_scope", None)

    def test_it_ends_with_the_token_the_role_the_second_factor_and_the_account(self, operator):
        assert operator.ask("jobs").status_code == 200
        Authenticator.objects.all().delete()
        assert operator.error("jobs") == (403, "no_second_factor", None)
        roles.revoke(operator.person, "operator", "left")
        assert operator.error("jobs") == (403, "missing_role", None)
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert operator.error("jobs") == (401, "invalid_api_key", None)
        ApiToken.objects.update(expires_at=None)
        Person.objects.update(is_active=False)
        assert operator.error("jobs") == (401, "invalid_api_key", None)

    def test_every_address_by_role(self, operator, auditor, owner, other):
        """An auditor's token opens what reads, whatever scopes it has; a supporter's opens nothing."""
        supporter = Program(other, "support", Scope.OPERATE_READ, Scope.OPERATE_ACT)
        rows = everything_of(owner)
        table = [r for r in ROUTES if r.name.startswith("operator_api:") and r.name != "operator_api:unknown"]
        changing_nothing = {"verify_artifact", "try_a_preset"}  # although they are posted
        answers = {"compare_artifacts": 400}  # without the versions to compare
        for route in table:
            name, methods = route.name.split(":")[1], route.methods.split()
            url = address(route, rows).replace("p-0123456789", owner.pseudonym)
            for method in methods:
                acts = name == "asked_answers" or (method == "POST" and name not in changing_nothing)
                refused = supporter.ask(url, None, method)
                assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_role"), url
                seen = auditor.ask(url, None, method).status_code
                assert (seen == 403) == acts, url
                assert method == "POST" or acts or seen == answers.get(name, 200), url
                assert operator.ask(url, None, method).status_code in (200, 400, 404, 409), url
            wrong = operator.ask(url, None, "DELETE")
            assert wrong.status_code == 405, url
            assert set(methods) == set(wrong["Allow"].split(", ")), url
            assert "only" in wrong.json()["error"]["message"]

    def test_too_many_requests_say_when_to_come_back(self, operator, settings):
        settings.OPERATOR_REQUESTS_PER_MINUTE = 2
        assert [operator.ask("workers").status_code for _ in range(3)] == [200, 200, 429]
        response = operator.ask("workers")
        assert int(response["Retry-After"]) > 0
        assert response.json()["error"]["type"] == "rate_limit_error"
