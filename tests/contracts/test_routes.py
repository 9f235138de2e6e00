"""Every route x {anonymous, owner, other person, staff without rights, each role} x {GET, POST}."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse

from alignapp.accounts.models import Person
from alignapp.panel import roles
from alignapp.panel.models import SupportLeave
from tests.contracts.routes import ROUTES
from tests.contracts.walk import address, ask, route_names
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
METHODS = ("GET", "POST")


@pytest.fixture(autouse=True)
def unlimited(settings):
    """Many requests of one walk come from one address."""
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def staff(db) -> Person:
    return Person.objects.create_user("staff@example.org", "a long pass phrase", is_staff=True)


def hidden(route, method):
    """What somebody without any role is told of the panel: that there is no such page."""
    return (404,) if method in route.methods else (404, 405)


def wrong_answers(client, rows, expected) -> list[str]:
    """Return each request whose answer is not among what `expected(route, method)` allows."""
    found = []
    for route in ROUTES:
        for method in METHODS:
            status = ask(client, method, address(route, rows)).status_code
            allowed = expected(route, method)
            if status not in allowed:
                found.append(f"{method} {route.name}: {status}, expected one of {allowed}")
    return found


def test_every_route_has_a_line_in_the_table():
    real = [name for name in route_names() if not name.startswith("admin:")]
    assert sorted(real) == sorted(route.name for route in ROUTES)


def test_visitors_are_sent_to_sign_in(rows):
    def expected(route, method):
        if route.access == "public":
            return route.answers if method in route.methods else (405,)
        return route.anonymous if method in route.methods else (*route.anonymous, 405)

    assert wrong_answers(Client(), rows, expected) == []
    for route in ROUTES:
        if route.access != "public" and route.anonymous == (302,):
            response = ask(Client(), route.methods.split()[0], address(route, rows))
            assert response.headers["Location"].startswith(reverse("account_login")), route.name


def test_the_owner_is_served_and_nothing_breaks(rows, owner, client_of):
    def expected(route, method):
        if route.access == "panel":
            return hidden(route, method)
        return route.answers if method in route.methods else (405,)

    assert wrong_answers(client_of(owner), rows, expected) == []


@pytest.mark.parametrize("who", ["other", "staff"])
def test_ids_of_somebody_else_are_not_found(who, rows, client_of, request):
    def expected(route, method):
        if route.is_hidden:
            return hidden(route, method)
        return route.answers if method in route.methods else (405,)

    assert wrong_answers(client_of(request.getfixturevalue(who)), rows, expected) == []


def test_ids_of_nothing_are_not_found(owner, client_of):
    def expected(route, method):
        if route.is_hidden:
            return hidden(route, method)
        return route.answers if method in route.methods else (405,)

    assert wrong_answers(client_of(owner), None, expected) == []


@pytest.mark.parametrize("role", ["operator", "auditor", "support"])
def test_each_role_opens_its_pages_and_no_others(role, rows, other):
    client = signed_in_with(role, other)
    if role == "support":
        SupportLeave.give(rows.person, timedelta(hours=1)).take_up(other)

    def expected(route, method):
        if route.access != "panel":
            return range(200, 600)  # readyz misses the workers
        if role in route.roles:
            return route.answers if method in route.methods else (405,)
        return (403,) if method in route.methods else (403, 405)

    assert wrong_answers(client, rows, expected) == []


def test_a_role_without_a_second_factor_opens_nothing(rows, other, client_of):
    roles.grant(other, "operator", "for the test")
    panel = [route for route in ROUTES if "operator" in route.roles]
    for route in panel:
        method = route.methods.split()[0]
        response = ask(client_of(other), method, address(route, rows))
        assert response.status_code == 302, route.name
        assert response.headers["Location"] == reverse("mfa_activate_totp")
    TOTP.activate(other, generate_totp_secret())
    for route in panel:
        method = route.methods.split()[0]
        response = ask(client_of(other), method, address(route, rows))
        assert response.headers["Location"].startswith(reverse("mfa_reauthenticate")), route.name


def test_a_role_ends_with_the_next_request(rows, other):
    client = signed_in_with("operator", other)
    assert client.get(reverse("panel:overview")).status_code == 200
    roles.revoke(other, "operator", "left the team")
    assert client.get(reverse("panel:overview")).status_code == 404


def test_no_form_is_taken_without_its_token(rows, owner):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    for route in ROUTES:
        if "POST" in route.methods and route.access != "token":
            assert ask(client, "POST", address(route, rows)).status_code == 403, route.name


def admin_addresses() -> list[tuple[str, str]]:
    found = []
    for name in sorted({n.removeprefix("admin:") for n in route_names() if n.startswith("admin:")}):
        for arguments in ((), ("1",), ("1", "1"), ("accounts",)):
            try:
                found.append((name, reverse(f"admin:{name}", args=arguments)))
                break
            except NoReverseMatch:
                continue
    return found


@pytest.mark.parametrize("who", [None, "owner", "staff"])
def test_the_admin_shows_nothing_without_rights(who, rows, client_of, request):
    client = client_of(request.getfixturevalue(who) if who else None)
    assert len(admin_addresses()) > 30
    for _name, url in admin_addresses():
        for method in METHODS:
            status = ask(client, method, url).status_code
            assert 300 <= status < 500, f"{method} {url}: {status}"


def root() -> Person:
    return Person.objects.create_superuser("root@example.org", "a long pass phrase")


def test_the_admin_has_the_panels_door_and_no_sign_in_of_its_own(client_of):
    index, person = reverse("admin:index"), root()
    for url in (index, reverse("admin:login")):
        assert Client().get(url)["Location"].startswith(reverse("account_login"))
    assert client_of(person).get(index).status_code == 404  # all rights of Django's, no role
    roles.grant(person, "operator", "for the test")
    assert client_of(person).get(index)["Location"] == reverse("mfa_activate_totp")
    TOTP.activate(person, generate_totp_secret())
    assert client_of(person).get(index)["Location"].startswith(reverse("mfa_reauthenticate"))
    roles.revoke(person, "operator", "so that it is given below")
    client = signed_in_with("operator", person)
    assert client.get(index).status_code == 200
    assert client.get(reverse("admin:login"))["Location"] == index
    changing = client.get(reverse("admin:password_change"))
    assert changing["Location"] == reverse("account_change_password")


@pytest.mark.parametrize("role", ["operator", "auditor", "support"])
def test_the_admin_opens_to_no_role_without_staff_and_to_no_other_role(role, other):
    Person.objects.filter(pk=other.pk).update(is_staff=role != "operator", is_superuser=role != "operator")
    other.refresh_from_db()
    client = signed_in_with(role, other)
    for _name, url in admin_addresses():
        assert client.get(url, follow=True).status_code in (403, 405), url


def test_nobody_adds_or_deletes_people_and_history_in_the_admin(rows, owner):
    client = signed_in_with("operator", root())
    for model in ("accounts_person", "audit_auditevent", "adapters_job", "adapters_artifact"):
        assert ask(client, "GET", reverse(f"admin:{model}_add")).status_code == 403
        row = admin.site.get_model_admin(
            next(m for m in admin.site._registry if m._meta.label_lower == model.replace("_", ".", 1))
        ).model.objects.first()
        assert ask(client, "POST", reverse(f"admin:{model}_delete", args=[row.pk])).status_code == 403


def test_the_admin_shows_no_address_and_no_words(rows, owner):
    operator = root()
    client = signed_in_with("operator", operator)
    words = (owner.email, rows.turn.text, rows.feedback.text, rows.conversation.title, "because", "a note")
    for model in admin.site._registry:
        label = model._meta.label_lower.replace(".", "_")
        pages = [reverse(f"admin:{label}_changelist")]
        pages += [
            reverse(f"admin:{label}_change", args=[row.pk])
            for row in model._base_manager.exclude(pk=operator.pk)
        ]
        for page in pages:
            text = client.get(page).content.decode()
            assert not [word for word in words if word in text], page
