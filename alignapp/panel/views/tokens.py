"""Tokens for the operator API: everybody's are listed, each person makes their own, for some days."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alignapp.api.models import ApiToken
from alignapp.api.tokens import TokenRefused, make
from alignapp.api.tokens import revoke as revoke_token
from alignapp.panel.forms import OperatorTokenForm
from alignapp.panel.pages.frame import shown
from alignapp.panel.roles import READERS, PanelRequest, Role, needs
from alignapp.panel.tokens import every_token, is_of_panel

PART = "tokens"


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """List the tokens of every operator and auditor."""
    context = {"tokens": every_token(), "address": request.build_absolute_uri("/operate/api/v1")}
    return shown(request, "panel/tokens.html", PART, context)


@require_http_methods(["GET", "POST"])
@needs(*READERS, code=True)
def new(request: PanelRequest) -> HttpResponse:
    """Make a token; its secret stands in this answer only."""
    form = OperatorTokenForm(request.POST or None, roles=request.roles)
    made, secret = None, ""
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            made, secret = make(request.user, name=chosen["name"], scopes=chosen["scopes"], days=form.days)
        except TokenRefused as refused:
            form.add_error(refused.field, str(refused))
    context = {"form": form, "made": made, "secret": secret}
    wrong = request.method == "POST" and made is None
    return shown(request, "panel/token_new.html", PART, context, status=400 if wrong else 200)


@require_POST
@needs(*READERS)
def revoke(request: PanelRequest, token_id: uuid.UUID) -> HttpResponse:
    """Let no program in with it any more; operators revoke anybody's, auditors their own."""
    token: ApiToken = get_object_or_404(ApiToken.objects.select_related("person"), id=token_id)
    if not is_of_panel(token) or not (Role.OPERATOR in request.roles or token.person_id == request.user.pk):
        raise Http404
    revoke_token(token, by=request.user)
    messages.success(request, _("Revoked. No program gets in with it any more."), extra_tags="good")
    return redirect("panel:tokens")
