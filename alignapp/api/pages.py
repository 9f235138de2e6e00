"""The page of a person's tokens: make one (its secret is shown once), see when it was used, revoke it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from alignapp.answers import PersonRequest
from alignapp.api.forms import TokenForm
from alignapp.api.models import ApiToken
from alignapp.audit.services import record

MOST_TOKENS = 20  # usable ones


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: PersonRequest) -> HttpResponse:
    """List the person's tokens, and make one: its secret stands in this answer only."""
    form = TokenForm(request.POST or None)
    made, secret = None, ""
    if request.method == "POST" and form.is_valid():
        usable = [token for token in ApiToken.objects.for_person(request.user) if token.is_usable]
        if len(usable) >= MOST_TOKENS:
            form.add_error(None, _("You have %(n)d tokens. Revoke one first.") % {"n": len(usable)})
        elif form.cleaned_data["name"] in {token.name for token in usable}:  # or the page was sent again
            form.add_error(
                "name", _("You have a token with this name. Revoke it first, or choose another name.")
            )
        else:
            made, secret = _issue(request, form)
            form = TokenForm()
    context = {
        "form": form,
        "made": made,
        "secret": secret,
        "tokens": ApiToken.objects.for_person(request.user),
        "address": request.build_absolute_uri("/v1"),
    }
    return render(request, "api/tokens.html", context, status=400 if form.is_bound else 200)


def _issue(request: PersonRequest, form: TokenForm) -> tuple[ApiToken, str]:
    chosen = form.cleaned_data
    with transaction.atomic():
        made, secret = ApiToken.issue(
            request.user, name=chosen["name"], scopes=chosen["scopes"], days=form.days
        )
        record(request.user, "token.made", made, scopes=made.scopes, days=form.days)
    return made, secret


@login_required
@require_POST
def revoke(request: PersonRequest, token_id: uuid.UUID) -> HttpResponse:
    """Let nobody in with this token any more, from the next request on."""
    token = get_object_or_404(ApiToken.objects.for_person(request.user), id=token_id)
    with transaction.atomic():
        if token.revoke():
            record(request.user, "token.revoked", token)
    messages.success(request, _("Revoked. No program gets in with it any more."), extra_tags="good")
    return redirect("api:tokens")
