"""What a manager may send of guidelines and people. A project's settings have a file of their own."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from alignapp.annotation.access import Role
from alignapp.annotation.models import Guidelines, Invitation


class GuidelinesForm(forms.ModelForm):
    """The next version of the guidelines."""

    class Meta:
        model = Guidelines
        fields = ("text", "note")
        labels = {"text": _("Guidelines (Markdown)"), "note": _("What is new in them")}
        widgets = {"text": forms.Textarea(attrs={"rows": 16})}


class InvitationForm(forms.ModelForm):
    """Whom a link is for."""

    role = forms.ChoiceField(
        label=_("As"), choices=[(role.value, role.label) for role in (Role.ANNOTATOR, Role.MANAGER)]
    )

    class Meta:
        model = Invitation
        fields = ("role", "email")
        labels = {"email": _("Only for this address (optional)")}
