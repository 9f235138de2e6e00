"""Who may open which page of the panel, and how roles are given and taken.

`@needs(Role.OPERATOR)` is the one guard of every view. Whoever has no role at all is told that there is no
such page; two-factor authentication is required of everybody who has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from alignapp.answers import PersonRequest
from alignapp.audit.services import record
from alignapp.panel.models import RoleGrant
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

Role = RoleGrant.Role
EVERYBODY = (Role.OPERATOR, Role.AUDITOR, Role.SUPPORT)
READERS = (Role.OPERATOR, Role.AUDITOR)


class PanelRequest(PersonRequest):
    """A request that `needs` let through: it knows the person's roles."""

    roles: frozenset[str]


View = Callable[..., HttpResponseBase]


def needs(*roles: str, fresh: bool = False, code: bool = False) -> Callable[[View], View]:
    """Let only people with one of these roles in, signed in with two factors.

    With `fresh`, for dangerous acts, password or code must have been entered in the last five minutes; with
    `code` it must have been a code. Who sends a form later than that enters it again and comes back to the
    page of the form, not to its act.
    """

    def guard(view: View) -> View:
        @never_cache
        @wraps(view)
        def guarded(request: PanelRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if refused := _refused(request, roles):
                return refused
            if fresh and not did_recently_reauthenticate(request):
                return _ask_again(request, "account_reauthenticate")
            if code and not _showed_a_code_lately(request):
                return _ask_again(request, "mfa_reauthenticate")
            return view(request, *args, **kwargs)

        return guarded

    return guard


def _ask_again(request: HttpRequest, url_name: str) -> HttpResponse:
    """Ask for the password or a code, and go back here, or to the page of the form."""
    back = request.get_full_path()
    if request.method != "GET":
        before = urlsplit(request.headers.get("Referer", ""))
        is_ours = before.path.startswith(reverse("panel:overview"))
        back = before._replace(scheme="", netloc="").geturl() if is_ours else reverse("panel:overview")
    return redirect(f"{reverse(url_name)}?{urlencode({'next': back})}")


def _refused(request: PanelRequest, roles: tuple[str, ...]) -> HttpResponse | None:
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    request.roles = roles_of(request.user)
    if not request.roles:
        raise Http404
    if not request.roles & set(roles):
        has, wanted = " and ".join(sorted(request.roles)), " or ".join(roles)
        raise PermissionDenied(f"{request.user} is {has}, this is for {wanted}")
    if not has_second_factor(request.user):
        return redirect("mfa_activate_totp")
    if not signed_in_with_two_factors(request):
        return _ask_again(request, "mfa_reauthenticate")
    return None


def signed_in_with_two_factors(request: HttpRequest) -> bool:
    """Say whether this session showed a code as well as a password."""
    return any(each["method"] == "mfa" for each in get_authentication_records(request, request.user))


def _showed_a_code_lately(request: HttpRequest) -> bool:
    since = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    shown = get_authentication_records(request, request.user)
    return any(each["method"] == "mfa" and each["at"] >= since for each in shown)


def has_second_factor(person: Person) -> bool:
    """Say whether a person set an authenticator app up. One query."""
    return Authenticator.objects.filter(user=person, type=Authenticator.Type.TOTP).exists()


def roles_of(person: Person) -> frozenset[str]:
    """Return the roles that a person has now. One query."""
    open_grants = RoleGrant.objects.for_person(person).filter(ended_at=None)
    return frozenset(open_grants.values_list("role", flat=True))


def grant(person: Person, role: str, reason: str, *, by: Person | None = None) -> RoleGrant:
    """Give a role. Raises AlignError without a reason, and when the person has it already."""
    if not reason.strip():
        raise AlignError("Say why: every grant of a role is on record with its reason.")
    try:
        with transaction.atomic():
            given = RoleGrant.objects.create(person=person, role=role, reason=reason[:200])
            record(by, "role.granted", given, reason=reason, role=role)
    except IntegrityError:
        raise AlignError(f"{person} is {role} already.") from None
    return given


def revoke(person: Person, role: str, reason: str, *, by: Person | None = None) -> None:
    """Take a role away, from the next request on. Raises AlignError when the person does not have it."""
    held = RoleGrant.objects.for_person(person).filter(role=role, ended_at=None)
    with transaction.atomic():
        ended = held.select_for_update().first()
        if ended is None:
            raise AlignError(f"{person} is not {role}.")
        held.update(ended_at=timezone.now())
        record(by, "role.revoked", ended, reason=reason, role=role)
