"""What a manager may send: settings, guidelines, invitations and pasted items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from alignapp.annotation import protocols
from alignapp.annotation.access import Role
from alignapp.annotation.models import Guidelines, Invitation, Item, Project
from alignapp.annotation.services.items import NewCandidate, NewItem

ASKED = (("", _("not asked")), ("optional", _("optional")), ("required", _("required")))
MOST_CANDIDATES = 8


def ask_field(name: str) -> str:
    """Return the name of the field that says whether a protocol is asked."""
    return f"ask_{name}"


class ProjectForm(forms.ModelForm):
    """A project's settings, its protocols among them: one choice for each, and its lists."""

    languages = forms.CharField(
        label=_("Languages"), required=False, help_text=_("Codes with commas between: en, de.")
    )

    class Meta:
        model = Project
        fields = (
            "name", "description", "languages", "consent_text", "overlap", "double_share", "candidates_shown",
            "generated", "temperature", "strategy", "blind", "shuffled", "repeat_share", "gold_share",
            "time_limit_seconds", "payment",
        )  # fmt: skip
        labels = {
            "consent_text": _("What annotators agree to"),
            "overlap": _("People who judge each item"),
            "double_share": _("Share of the items that two people judge, where it is one"),
            "candidates_shown": _("Answers shown at a time (0: all; 2: pairs)"),
            "generated": _("Answers that the base model writes for a prompt that comes without (0: none)"),
            "temperature": _("Temperature of these answers"),
            "strategy": _("Which item comes next"),
            "blind": _("Hide which model made an answer"),
            "shuffled": _("Show the answers in a random order"),
            "repeat_share": _("Share of hidden repeats (0 to 1)"),
            "gold_share": _("Share of gold items and attention checks, where there are any"),
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
        asked = {one["name"]: one for one in self.instance.protocols}
        self.initial["languages"] = ", ".join(self.instance.languages)
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


class ItemForm(forms.Form):
    """One item, typed or pasted: a prompt and its answers, with lines of three dashes between them."""

    prompt = forms.CharField(label=_("Prompt"), max_length=100_000, widget=forms.Textarea(attrs={"rows": 3}))
    answers = forms.CharField(
        label=_("Answers"),
        required=False,
        max_length=400_000,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=_(
            "One after the other, with a line of three dashes (---) between. A first line like "
            "“[model: name]” says who made one. Left empty, the base model writes them."
        ),
    )
    purpose = forms.ChoiceField(label=_("Kind"), choices=Item.Purpose.choices, required=False)
    best = forms.IntegerField(
        label=_("Right answer (gold and attention)"),
        required=False,
        min_value=1,
        max_value=MOST_CANDIDATES,
        help_text=_("Its number, counted from the top."),
    )
    may_train = forms.BooleanField(label=_("May be used for training"), required=False, initial=True)

    def clean_answers(self) -> list[NewCandidate]:
        """Return the candidates."""
        text = self.cleaned_data["answers"].replace("\r\n", "\n")
        parts = [part.strip() for part in f"\n{text}\n".replace("\n---\n", "\n\0\n").split("\0")]
        found = [_candidate(part) for part in parts if part]
        if len(found) > MOST_CANDIDATES:
            words = _("Give at most %(most)d answers; these are %(n)d.")
            raise forms.ValidationError(words, params={"most": MOST_CANDIDATES, "n": len(found)})
        return found

    def clean(self) -> dict[str, Any]:
        """See that a gold item says what is right."""
        cleaned: dict[str, Any] = super().clean() or {}
        purpose, best = cleaned.get("purpose") or Item.Purpose.ORDINARY, cleaned.get("best")
        if purpose != Item.Purpose.ORDINARY and not best:
            self.add_error("best", _("Say which answer is the right one."))
        if best and best > len(cleaned.get("answers", [])):
            self.add_error("best", _("There are fewer answers than that."))
        return {**cleaned, "purpose": purpose}

    def item(self) -> NewItem:
        """Return what was typed; its key is a hash of it, so that the same twice is one item."""
        data = self.cleaned_data
        parts = [data["prompt"], *(one.text for one in data["answers"])]
        best = data["best"]
        return NewItem(
            key=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32],
            messages=[{"role": "user", "content": data["prompt"]}],
            candidates=data["answers"],
            may_train=data["may_train"],
            purpose=data["purpose"],
            expected={"pick-1-of-n": {"best": [best - 1]}} if best else {},
        )


def _candidate(text: str) -> NewCandidate:
    first, _line, rest = text.partition("\n")
    if first.startswith("[model:") and first.rstrip().endswith("]"):
        return NewCandidate(text=rest.strip(), maker=first.rstrip()[7:-1].strip()[:200])
    return NewCandidate(text=text)
