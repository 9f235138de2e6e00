"""What a person says when they make a token."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from alignapp.api.models import PERSONAL, Scope

NEVER = "0"
LIFETIMES = (
    ("30", _("30 days")),
    ("90", _("90 days")),
    ("365", _("A year")),
    (NEVER, _("Until I revoke it")),
)


class TokenForm(forms.Form):
    """A name to know it by, what it may do, and how long."""

    name = forms.CharField(label=_("Name"), max_length=60, help_text=_("What will use it: “my notebook”."))
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=[(scope.value, scope.label) for scope in PERSONAL],
        initial=[Scope.CHAT, Scope.MODELS],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one thing that it may do.")},
    )
    lifetime = forms.ChoiceField(label=_("It works for"), choices=LIFETIMES, initial="90")

    @property
    def days(self) -> int | None:
        """The lifetime in days; None is no end."""
        return int(self.cleaned_data["lifetime"]) or None
