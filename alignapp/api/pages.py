"""The page of a person's tokens: make one (its secret is shown once), see when it was used, revoke it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from alignapp.answers import PersonRequest
from alignapp.api.forms import TokenForm
from alignapp.api.models import ApiToken
from alignapp.api.tokens import TokenRefused, make
from alignapp.api.tokens import revoke as revoke_token


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: PersonRequest) -> HttpResponse:
    """List the person's tokens, and make one: its secret stands in this answer only."""
    form = TokenForm(request.POST or None)
    made, secret = None, ""
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            made, secret = make(request.user, name=chosen["name"], scopes=chosen["scopes"], days=form.days)
            form = TokenForm()
        except TokenRefused as refused:
            form.add_error(refused.field, str(refused))
    context = {
        "form": form,
        "made": made,
        "secret": secret,
        "tokens": ApiToken.objects.for_person(request.user),
        "address": request.build_absolute_uri("/v1"),
    }
    return render(request, "api/tokens.html", context, status=400 if form.is_bound else 200)


@login_required
@require_POST
def revoke(request: PersonRequest, token_id: uuid.UUID) -> HttpResponse:
    """Let nobody in with this token any more, from the next request on."""
    token = get_object_or_404(ApiToken.objects.for_person(request.user), id=token_id)
    revoke_token(token, by=request.user)
    messages.success(request, _("Revoked. No program gets in with it any more."), extra_tags="good")
    return redirect("api:tokens")
