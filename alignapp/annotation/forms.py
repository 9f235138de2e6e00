"""What a manager may send: settings, guidelines and invitations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext_lazy as _

from alignapp.annotation import protocols
from alignapp.annotation.access import Role
from alignapp.annotation.item_form import MOST_CANDIDATES
from alignapp.annotation.models import Guidelines, Invitation, Project
from alignapp.annotation.services import writers
from personalization.cleaning import clean

ASKED = (("", _("not asked")), ("optional", _("optional")), ("required", _("required")))
# Beyond these a number is a slip of the hand; what the columns hold differs between databases.
MOST = {"overlap": 1_000, "candidates_shown": MOST_CANDIDATES, "time_limit_seconds": 24 * 3600}


def ask_field(name: str) -> str:
    """Return the name of the field that says whether a protocol is asked."""
    return f"ask_{name}"


class ProjectForm(forms.ModelForm):
    """A project's settings, its protocols among them: one choice for each, and its lists."""

    languages = forms.CharField(
        label=_("Languages"), required=False, help_text=_("Codes with commas between: en, de.")
    )

    writers = forms.MultipleChoiceField(
        label=_("Who writes these answers, in turn"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "The base model where nobody is chosen. Members lend their own model on the page where they "
            "agree; nobody's is used without that, yours neither."
        ),
    )

    class Meta:
        model = Project
        fields = (
            "name", "description", "languages", "consent_text", "overlap", "double_share", "candidates_shown",
            "generated", "writers", "temperature", "strategy", "blind", "shuffled", "repeat_share",
            "gold_share", "attention_limit", "time_limit_seconds", "payment",
        )  # fmt: skip
        labels = {
            "consent_text": _("What annotators agree to"),
            "overlap": _("People who judge each item"),
            "double_share": _("Share of the items that two people judge, where it is one"),
            "candidates_shown": _("Answers shown at a time (0: all; 2: pairs)"),
            "generated": _("Answers that are written for a prompt that comes without (0: none)"),
            "temperature": _("Temperature of these answers"),
            "strategy": _("Which item comes next"),
            "blind": _("Hide which model made an answer"),
            "shuffled": _("Show the answers in a random order"),
            "repeat_share": _("Share of hidden repeats (0 to 1)"),
            "gold_share": _("Share of gold items and attention checks, where there are any"),
            "attention_limit": _("Missed attention checks that stop somebody (empty: none)"),
            "time_limit_seconds": _("Seconds for an item (empty: no limit)"),
            "payment": _("What is paid, in words"),
        }
        help_texts = {
            "time_limit_seconds": _(
                "Counted while the page is visible. When they are over, a complete answer is submitted as it "
                "stands, and an item without one goes to somebody else."
            ),
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "consent_text": forms.Textarea(attrs={"rows": 4}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, most in MOST.items():
            field = self.fields[name]
            others = [one for one in field.validators if not isinstance(one, MaxValueValidator)]
            field.validators = [*others, MaxValueValidator(most)]
            field.widget.attrs["max"] = most
        asked = {one["name"]: one for one in self.instance.protocols}
        self.initial["languages"] = ", ".join(self.instance.languages)
        self._offer_writers()
        for name, protocol in protocols.found().items():
            now = asked.get(name)
            self.fields[ask_field(name)] = forms.ChoiceField(
                label=str(protocol.title),
                choices=ASKED,
                required=False,
                help_text=str(protocol.help),
                initial="" if now is None else "required" if now.get("required") else "optional",
            )
            for key, (label, default) in protocol.lists.items():
                self.fields[f"{ask_field(name)}_{key}"] = forms.CharField(
                    label=str(label),
                    required=False,
                    widget=forms.Textarea(attrs={"rows": 4}),
                    initial="\n".join((now or {}).get(key) or default),
                )

    def clean_name(self) -> str:
        """Return the name without signs that would turn round the words of others' pages about it."""
        if name := clean(self.cleaned_data["name"]):
            return name
        raise forms.ValidationError(_("Give it a name that can be read."))

    def _offer_writers(self) -> None:
        """Offer who lends their model; before there are members, only the base model writes."""
        field = self.fields["writers"]
        assert isinstance(field, forms.MultipleChoiceField)
        if self.instance._state.adding:
            del self.fields["writers"]
            return
        field.choices = [(one.key, one.label) for one in writers.offered(self.instance)]
        known = {key for key, _label in field.choices}
        self.initial["writers"] = [key for key in self.instance.writers if key in known] or [writers.BASE]

    def clean_languages(self) -> list[str]:
        """Return the codes as a list."""
        return [code for part in self.cleaned_data["languages"].split(",") if (code := part.strip())]

    def clean(self) -> dict[str, Any]:
        """Gather the protocols; at least one is asked, and one of them is required."""
        cleaned: dict[str, Any] = super().clean() or {}
        asked = [
            {
                "name": name,
                "required": said == "required",
                **{
                    key: [line.strip()[:40] for line in lines.splitlines() if line.strip()]
                    for key in protocol.lists
                    if (lines := cleaned.get(f"{ask_field(name)}_{key}", ""))
                },
            }
            for name, protocol in protocols.found().items()
            if (said := cleaned.get(ask_field(name)))
        ]
        if not asked:
            raise forms.ValidationError(_("Choose at least one way to ask, under “How it is asked”."))
        self.instance.protocols = asked
        return cleaned

    def asked_fields(self) -> Iterator[forms.BoundField]:
        """Yield the fields about protocols, which stand together on the page."""
        yield from (self[name] for name in self.fields if name.startswith("ask_"))

    def other_fields(self) -> Iterator[forms.BoundField]:
        """Yield the other fields."""
        yield from (self[name] for name in self.fields if not name.startswith("ask_"))


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
