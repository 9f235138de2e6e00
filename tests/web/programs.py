"""A program of an operator or auditor: a token of the operator API, and requests that show it."""

from __future__ import annotations

import json

from django.test import Client

from alignapp.accounts.models import Person
from alignapp.api.models import ApiToken, Scope
from tests.web.operating import signed_in_with

BASE = "/operate/api/v1"


class Program:
    """A client that shows a token."""

    def __init__(self, person: Person, role: str, *scopes: str, name: str = "robot") -> None:
        signed_in_with(role, person)
        self.person = person
        self.token, self.secret = ApiToken.issue(person, name=name, scopes=scopes, days=7)

    def ask(self, path: str, given: object = None, method: str = "", **headers: str):
        url = path if path.startswith("/") else f"{BASE}/{path}"
        method = method or ("GET" if given is None else "POST")
        body = json.dumps(given) if given is not None else ""
        headers = {
            "Authorization": f"Bearer {self.secret}",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        return Client().generic(method, url, body, content_type="application/json", headers=headers)

    def error(self, path: str, given: object = None, **headers: str) -> tuple[int, str, str | None]:
        response = self.ask(path, given, **headers)
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        return response.status_code, error["code"], error["param"]


def operators_program() -> Program:
    """Return the program of a new operator, who may read and act."""
    person = Person.objects.create_user("op@example.org", "a long pass phrase")
    return Program(person, "operator", Scope.OPERATE_READ, Scope.OPERATE_ACT)


def auditors_program() -> Program:
    """Return the program of a new auditor; its token asks for more than its owner has."""
    person = Person.objects.create_user("auditor@example.org", "a long pass phrase")
    return Program(person, "auditor", Scope.OPERATE_READ, Scope.OPERATE_ACT)
