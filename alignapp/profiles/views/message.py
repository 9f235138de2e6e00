"""The page of the system message: read it with its sources, write it by hand, compose it anew."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from alignapp.answers import PersonRequest
from alignapp.profiles.forms import MESSAGE_LIMIT, MessageForm
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.services import composed_of, current_profile, new_version, reset_message
from alignapp.profiles.wording import source_label
from personalization.values.composer import BUDGET_TOKENS, approximate_tokens


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: PersonRequest) -> HttpResponse:
    """Show the message, or save it as the person wrote it."""
    current = current_profile(request.user)
    if request.method == "GET":
        initial = {"system_message": current.system_message if current else ""}
        return _page(request, MessageForm(initial=initial), current)
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _page(request, form, current)
    text = form.cleaned_data["system_message"]
    if current is None and not text:
        messages.info(request, _("The message is empty already."))
        return redirect("profiles:message")
    after = new_version(request.user, ProfileVersion.Section.MESSAGE, system_message=text)
    if current is not None and after.pk == current.pk:
        messages.info(request, _("Nothing changed, so there is no new version."))
    else:
        messages.success(request, _("Saved as version %(n)s.") % {"n": after.number}, extra_tags="good")
    return redirect("profiles:message")


@login_required
@require_POST
def reset(request: PersonRequest) -> HttpResponse:
    """Compose the message from what is stated; the one by hand stays in the history."""
    reset_message(request.user)
    messages.success(request, _("The message is composed of your values again."), extra_tags="good")
    return redirect("profiles:message")


def _page(request: PersonRequest, form: MessageForm, current: ProfileVersion | None) -> HttpResponse:
    text = form["system_message"].value() or ""
    lines = current.system_lines if current else []
    composed = composed_of(current)
    context = {
        "form": form,
        "text": text,
        "profile": current,
        "lines": [(line["text"], source_label(line["source"])) for line in lines],
        "dropped": [(d.text, source_label(d.source), d.reason) for d in composed.dropped],
        "composed": composed.text,
        "tokens": approximate_tokens(text),
        "budget": BUDGET_TOKENS,
        "limit": MESSAGE_LIMIT,
    }
    return render(request, "profiles/message.html", context, status=400 if form.errors else 200)
