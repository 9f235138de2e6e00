"""Make and revoke a token, on record. Knows nothing of pages, nor of who may have which scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext as _

from alignapp.api.models import ApiToken
from alignapp.audit.services import record
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

MOST_TOKENS = 20  # usable ones of one person


class TokenRefused(AlignError):
    """No token is made; `field` names what of the form is wrong, None where it is not the form."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def make(person: Person, *, name: str, scopes: Sequence[str], days: int | None) -> tuple[ApiToken, str]:
    """Make a token and return it with its secret, which nobody can read again. Raises TokenRefused."""
    usable = [token for token in ApiToken.objects.for_person(person) if token.is_usable]
    if len(usable) >= MOST_TOKENS:
        raise TokenRefused(_("You have %(n)d tokens. Revoke one first.") % {"n": len(usable)})
    if name in {token.name for token in usable}:  # or the page was sent again
        words = _("You have a token with this name. Revoke it first, or choose another name.")
        raise TokenRefused(words, field="name")
    with transaction.atomic():
        made, secret = ApiToken.issue(person, name=name, scopes=scopes, days=days)
        record(person, "token.made", made, scopes=made.scopes, days=days)
    return made, secret


def revoke(token: ApiToken, *, by: Person) -> None:
    """Let nobody in with it any more, from the next request on; one that was revoked before stays so."""
    with transaction.atomic():
        if token.revoke():
            record(by, "token.revoked", token)
