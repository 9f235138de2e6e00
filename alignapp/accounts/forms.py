"""Signing up with consent, signing in, the account's settings, and leaving."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from django import forms
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from alignapp.accounts.consent import TEXT, give_consent
from alignapp.accounts.models import Person
from alignapp.accounts.signals import end_session_in_time

THEMES = (("system", _("As the device")), ("light", _("Light")), ("dark", _("Dark")))


class SignupForm(AllauthSignupForm):
    """E-mail address, password, and the consent without which nobody gets an account."""

    field_order = ("email", "password1", "password2", "consent")
    consent_text = TEXT
    consent = forms.BooleanField(
        label=_("I have read this and agree"),
        error_messages={"required": _("Without your consent nothing can be stored, so there is no account.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields(self.field_order)
        email = self.fields["email"]
        assert isinstance(email, forms.EmailField)
        email.max_length = Person._meta.get_field("email").max_length
        email.validators.append(MaxLengthValidator(email.max_length))  # allauth's own lets 320 through
        email.widget.attrs["maxlength"] = email.max_length
        self.fields["password1"].help_text = _(
            "At least 8 characters; not a common one, not like your address."
        )
        _drop_placeholders(self)

    def save(self, request: HttpRequest) -> Person:
        """Create the person and record the consent."""
        person: Person = super().save(request)
        give_consent(person)
        return person


class LoginForm(AllauthLoginForm):
    """E-mail address and password. The session lasts a fixed time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _drop_placeholders(self)

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        """Sign in; allauth sets a sliding end afterwards, so the fixed one is set again."""
        response: HttpResponse = super().login(request, redirect_url=redirect_url)
        if request.user.is_authenticated:
            end_session_in_time(request)
        return response


def _drop_placeholders(form: forms.Form) -> None:
    """Leave the labels to say what a field is for."""
    for field in form.fields.values():
        field.widget.attrs.pop("placeholder", None)


class SettingsForm(forms.ModelForm):
    """How many answers a first message gets, and the colours, which a cookie keeps."""

    candidate_count = forms.TypedChoiceField(
        label=_("Answers to a first message"),
        help_text=_("With one answer you just chat; with more you can compare and rate."),
        coerce=int,
        choices=[(1, _("1: just chat")), (2, "2"), (3, "3"), (4, "4")],
    )
    theme = forms.ChoiceField(label=_("Colours"), choices=THEMES, required=False)

    class Meta:
        model = Person
        fields = ("candidate_count",)


class EraseForm(forms.Form):
    """Typing one's own address, so that nobody deletes everything by a slip."""

    email = forms.CharField(
        label=_("Type your e-mail address to confirm"),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._person = person

    def clean_email(self) -> str:
        """Accept the person's own address only."""
        email: str = self.cleaned_data["email"].strip()
        if email.lower() != self._person.email:
            raise forms.ValidationError(_("That is not the address of this account."))
        return email
