"""Every address of a project x {owner, manager, annotator, outsider} x {GET, POST}."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alignapp.annotation.services import answers
from alignapp.annotation.services.projects import change_project
from tests.contracts.routes import ROUTES
from tests.contracts.walk import address, ask
from tests.web import annotated

pytestmark = pytest.mark.django_db
APPS = ("annotation", "exchange", "quality", "studies")  # whose rows belong to a project of several people
ROLES = {"owner": "joined managed led", "manager": "joined managed", "annotator": "joined", "outsider": ""}


@pytest.fixture
def team(rows, owner, other):
    """Everybody of one project: both other members have an answer of their own."""
    assert rows.project.owner == owner
    members = {role: annotated.member_of(rows.project, role, role) for role in ("manager", "annotator")}
    rows.project.overlap = 3
    change_project(rows.project)
    own = {"owner": rows.assignment}
    for role, member in members.items():
        own[role] = annotated.claimed(member)
        answers.submit(own[role], annotated.pick(own[role]))
    people = {"owner": owner, "outsider": other, **{role: one.person for role, one in members.items()}}
    return people, own


def project_routes():
    return [route for route in ROUTES if route.name.split(":")[0] in APPS and route.ids]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_what_it_may_and_nothing_else(role, rows, team, client_of):
    people, own = team
    client, wrong = client_of(people[role]), []
    of_others = [one for whose, one in own.items() if whose != role]
    for route in project_routes():
        cases = [(rows, route.access in ROLES[role].split())]
        if route.access == "owned":
            cases = [(replace(rows, assignment=one), False) for one in of_others]
            cases += [(replace(rows, assignment=own[role]), True)] if role in own else []
        for these, may in cases:
            for method in ("GET", "POST"):
                status = ask(client, method, address(route, these)).status_code
                allowed = route.answers if may else (404,)
                if method not in route.methods.split():
                    allowed = (404, 405)
                if status not in allowed:
                    wrong.append(f"{method} {route.name}: {status}, expected {allowed}")
    assert wrong == []


def test_every_kind_of_access_occurs():
    assert {route.access for route in project_routes()} == {"joined", "managed", "led", "owned"}


def test_no_page_of_an_annotator_shows_what_others_said(rows, team, client_of):
    people, own = team
    client = client_of(people["annotator"])
    others = [str(people["owner"]), str(people["manager"]), people["owner"].email, "model-m0", "model-m1"]
    for route in project_routes():
        if "GET" in route.methods and route.access in ("joined", "owned"):
            these = replace(rows, assignment=own["annotator"])
            text = ask(client, "GET", address(route, these)).content.decode()
            assert not [word for word in others if word in text], route.name
