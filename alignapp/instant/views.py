"""The switch "Use my ratings at once", its strength, and putting the ratings so far aside."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from alignapp.adapters.errors import Refused
from alignapp.answers import PersonRequest, refusal
from alignapp.instant import services
from alignapp.instant.forms import ChoiceForm, StartForm
from personalization.errors import AlignError


@login_required
@require_POST
def choose(request: PersonRequest) -> HttpResponse:
    """Set the switch and the share, from the next reply on."""
    form = ChoiceForm(request.POST)
    if not form.is_valid():
        return refusal(request, Refused(form.first_error()), reverse("adapters:alignment"))
    values = form.cleaned_data
    services.choose(request.user, on=values["on"], beside=values["beside"], share=values["share"] / 100)
    return _back(request, _("Saved. It applies to the next reply."))


@login_required
@require_POST
def start(request: PersonRequest) -> HttpResponse:
    """Set where the vector starts, and whether the person's ratings count where others' start."""
    form = StartForm(request.POST)
    form.is_valid()  # two boxes: there is nothing to refuse
    try:
        left = services.choose_start(request.user, **form.cleaned_data)
    except AlignError as error:
        return refusal(request, Refused(str(error)), reverse("adapters:alignment"))
    if left is None:
        return _back(request, _("Saved. It applies to the next reply."))
    words = _(
        "Saved: your ratings are in no common taste made from now on. Your receipt: %(receipt)s. "
        "It stays on your account page."
    )
    return _back(request, words % {"receipt": left.receipt})


@login_required
@require_POST
def forget(request: PersonRequest) -> HttpResponse:
    """Put the ratings so far aside."""
    services.forget(request.user)
    return _back(
        request, _("Your ratings so far are put aside; the next ones begin anew. You can take that back.")
    )


@login_required
@require_POST
def remember(request: PersonRequest) -> HttpResponse:
    """Let all ratings count again."""
    services.remember(request.user)
    return _back(request, _("All your ratings count again, from the next reply on."))


def _back(request: PersonRequest, words: str) -> HttpResponse:
    messages.success(request, words, extra_tags="good")
    return redirect(reverse("adapters:alignment") + "#ratings")
