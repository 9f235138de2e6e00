"""Who may call the operator API: whoever shows a token whose scope and whose owner's role allow it, now."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from alignapp import limits
from alignapp.api.errors import ApiError
from alignapp.api.models import ApiToken, Scope
from alignapp.panel.roles import has_second_factor, roles_of
from alignapp.panel.tokens import scopes_for

LIMIT = "operate"  # the bucket's name; see `alignapp.limits`


class TokenRequest(HttpRequest):
    """A request that a token let in."""

    auth: ApiToken


class Reads(HttpBearer):
    """Tokens of operators and auditors, to read."""

    scope = Scope.OPERATE_READ

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:  # noqa: ARG002 - ninja's signature
        """Return the token's row. Raises ApiError, and TooMany for one that is shown too often."""
        found = ApiToken.find(token.strip())
        if found is None:
            raise unknown()
        person = found.person
        limits.take(
            LIMIT,
            person.pk,
            1,
            capacity=settings.OPERATOR_REQUESTS_PER_MINUTE,
            per_seconds=60,
            what="requests",
        )
        if self.scope not in found.scopes:
            raise ApiError(403, f"This token lacks the scope “{self.scope}”.", code="missing_scope")
        if self.scope not in scopes_for(roles_of(person)):
            raise ApiError(403, "The token's owner has no role that may do that.", code="missing_role")
        if not has_second_factor(person):
            words = "The token's owner has no second factor any more. Set one up, then try again."
            raise ApiError(403, words, code="no_second_factor")
        return found


class Acts(Reads):
    """Tokens of operators, to act."""

    scope = Scope.OPERATE_ACT


def unknown() -> ApiError:
    """Return what whoever shows no token, or one that is over, is told."""
    words = "Show a valid token as “Authorization: Bearer align_…”. Operators make one at /operate/tokens/."
    return ApiError(401, words, code="invalid_api_key")


READ, ACT = Reads(), Acts()
