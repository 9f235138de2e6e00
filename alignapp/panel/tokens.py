"""Tokens of operators and auditors for the operator API: who may have which scope, and for how long.

A token never opens more than its owner's role does at the moment: a role that ends takes its tokens with it.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Exists, OuterRef

from alignapp.api.models import ApiToken, Scope
from alignapp.panel.models import RoleGrant
from alignapp.panel.roles import Role

SCOPES = {
    Role.OPERATOR: (Scope.OPERATE_READ, Scope.OPERATE_ACT),
    Role.AUDITOR: (Scope.OPERATE_READ,),
}
DAYS = (1, 7, 30, 90)  # no token of a machine that may act is for ever
MOST_LISTED = 200


def scopes_for(roles: Collection[str]) -> list[Scope]:
    """Return what tokens of people with these roles may be used for; empty for supporters."""
    held = {scope for role in roles if role in SCOPES for scope in SCOPES[Role(role)]}
    return [scope for scope in Scope if scope in held]


def is_of_panel(token: ApiToken) -> bool:
    """Say whether a token opens the operator API; what people make for themselves does not."""
    return any(scope in token.scopes for scope in SCOPES[Role.OPERATOR])


def every_token() -> list[ApiToken]:
    """Return the operator API's tokens of everybody who has or had a role, newest first. One query."""
    grants = RoleGrant.objects.filter(person=OuterRef("person"))
    found = ApiToken.objects.filter(Exists(grants)).select_related("person").order_by("-created_at")
    return [token for token in found if is_of_panel(token)][:MOST_LISTED]
