"""What the chat's forms accept."""

from __future__ import annotations

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext as _

from alignapp.chat.models import Conversation


class ConversationForm(forms.ModelForm):
    """A new conversation: its kind, and what it may be used for."""

    class Meta:
        model = Conversation
        fields = ("kind", "personalised", "for_training")

    def clean_kind(self) -> str:
        """Refuse the kind that only programs begin."""
        kind: str = self.cleaned_data["kind"]
        if kind == Conversation.Kind.API:
            raise forms.ValidationError(_("Choose what you want to talk about."))
        return kind


class SwitchesForm(forms.ModelForm):
    """What one conversation may be used for."""

    class Meta:
        model = Conversation
        fields = ("personalised", "for_training")


class TitleForm(forms.ModelForm):
    """A conversation's name."""

    class Meta:
        model = Conversation
        fields = ("title",)


class CountForm(forms.Form):
    """How many answers a first message gets."""

    candidate_count = forms.IntegerField(validators=[MinValueValidator(1), MaxValueValidator(4)])
