"""The first page, the account page, and leaving."""

from __future__ import annotations

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alignapp.accounts import consent
from alignapp.accounts.erase import erase, what_goes
from alignapp.accounts.export import export
from alignapp.accounts.forms import EraseForm, SettingsForm
from alignapp.accounts.steps import alignment_line, steps_for
from alignapp.adapters import live
from alignapp.adapters.removal import taken_back
from alignapp.adapters.services import current_alignment
from alignapp.answers import PersonRequest
from alignapp.audit.services import events_about, record
from alignapp.audit.wording import in_words
from alignapp.chat.pages import conversations_of
from alignapp.instant.services import refresh_soon

THEME_SECONDS = 365 * 24 * 3600


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show what this is to a visitor, and what comes next to a person."""
    if not request.user.is_authenticated:
        return render(request, "accounts/landing.html")
    alignment = current_alignment(request.user)
    steps = steps_for(request.user, alignment)
    context = {
        "steps": steps,
        "next_step": next((step for step in steps if not step.done), None),
        "done_count": sum(step.done for step in steps),
        "alignment": alignment_line(request.user, alignment),
        "alarms": live.unread(request.user),
        "taken_back": taken_back(request.user, alignment),
        "conversations": conversations_of(request.user)[:5],
    }
    return render(request, "accounts/home.html", context)


@require_GET
def consent_text(request: HttpRequest) -> HttpResponse:
    """Show what a person agrees to."""
    return render(request, "accounts/consent.html", {"text": consent.TEXT, "version": consent.VERSION})


@login_required
@require_http_methods(["GET", "POST"])
def account(request: PersonRequest) -> HttpResponse:
    """Show and change the account's settings."""
    initial = {"theme": request.COOKIES.get("theme", "system")}
    form = SettingsForm(request.POST or None, instance=request.user, initial=initial)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, gettext("Saved."), extra_tags="good")
        response = redirect("account")
        if theme := form.cleaned_data["theme"]:
            response.set_cookie("theme", theme, max_age=THEME_SECONDS, samesite="Lax")
        return response
    events = events_about(request.user)[:20]
    context = {
        "form": form,
        "consent": consent.in_force(request.user),
        "events": [(event, in_words(event.verb)) for event in events],
        "has_role": request.user.role_grants.filter(ended_at=None).exists(),
    }
    return render(request, "accounts/account.html", context, status=400 if form.is_bound else 200)


@login_required
@require_POST
def change_consent(request: PersonRequest) -> HttpResponse:
    """Withdraw the consent to training, or give it again."""
    if consent.has_consent(request.user):
        consent.withdraw_consent(request.user)
        messages.success(
            request,
            gettext("Withdrawn. What was being trained is stopped, and nothing more is."),
            extra_tags="good",
        )
        record(request.user, "consent.withdrawn")
    else:
        consent.give_consent(request.user)
        messages.success(request, gettext("Thank you. You can train again."), extra_tags="good")
        record(request.user, "consent.given")
    refresh_soon(request.user)
    return redirect("account")


@login_required
@require_GET
def export_everything(request: PersonRequest) -> HttpResponseBase:
    """Download everything as a zip, after the password was entered again."""
    try:
        _check_password_was_entered(request)
    except ReauthenticationRequired:
        # A download would leave the browser on the page that asks for the password.
        words = gettext(
            "After the password press “Export everything” once more; the download begins at once."
        )
        messages.info(request, words)
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': reverse('account')})}")
    record(request.user, "account.exported")
    name = f"alignapp-{timezone.localdate():%Y-%m-%d}.zip"
    return FileResponse(export(request.user), as_attachment=True, filename=name)


@login_required
@require_http_methods(["GET", "POST"])
def delete_everything(request: PersonRequest) -> HttpResponse:
    """Count what goes, ask for the address, and delete everything."""
    try:
        _check_password_was_entered(request)
    except ReauthenticationRequired:
        if request.method == "GET":
            raise
        # allauth would keep this POST and repeat it at the next password, whatever that was entered for.
        return redirect("account_delete")
    person = request.user
    form = EraseForm(request.POST or None, person=person)
    if request.method == "POST" and form.is_valid():
        erase(person)
        logout(request)
        messages.success(request, gettext("Everything of yours was deleted."), extra_tags="good")
        return redirect("home")
    context = {"form": form, "counts": what_goes(person)}
    status = 400 if form.is_bound else 200
    return render(request, "accounts/delete.html", context, status=status)


@reauthentication_required
def _check_password_was_entered(_: HttpRequest) -> None:
    """Do nothing within five minutes of the password. Raises ReauthenticationRequired."""
