"""A project's settings as a form: the few that every project needs, and the others in groups that fold.

A group that holds an error or something that is not as it comes stands open, so that nothing that matters is
out of sight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, validate_email
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from alignapp.annotation import protocols
from alignapp.annotation.item_form import MOST_CANDIDATES
from alignapp.annotation.models import Project
from alignapp.annotation.models.project import GUIDELINES_CHARACTERS
from alignapp.annotation.services import writers
from personalization.cleaning import clean

ASKED = (("", _("not asked")), ("optional", _("optional")), ("required", _("required")))
# Beyond these a number is a slip of the hand; what the columns hold differs between databases.
MOST = {"overlap": 1_000, "candidates_shown": MOST_CANDIDATES, "time_limit_seconds": 24 * 3600}
MOST_INVITED = 100
FIRST, WHO = ("name", "guidelines"), ("overlap", "invited")
GROUPS: tuple[tuple[str, str | Promise, str | Promise, tuple[str, ...]], ...] = (
    (
        "told", _("What people are told"), _("description, consent, payment, languages"),
        ("description", "consent_text", "payment", "languages"),
    ),
    (
        "seen", _("How answers are shown"), _("how many at a time, makers, order, time limit"),
        ("candidates_shown", "blind", "shuffled", "time_limit_seconds"),
    ),
    (
        "given", _("Which items people get"), _("order, double coding, hidden repeats, gold items, checks"),
        ("strategy", "double_share", "repeat_share", "gold_share", "attention_limit"),
    ),
    (
        "written", _("Answers that models write"), _("for prompts that come without"),
        ("generated", "writers", "temperature"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that stand together under a heading; an open one shows them at once."""

    key: str
    title: str | Promise
    hint: str | Promise
    fields: Sequence[forms.BoundField]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask: whether it is asked, and its lists; open when these are not as they come."""

    field: forms.BoundField
    lists: Sequence[forms.BoundField]
    is_open: bool


class LinesField(forms.CharField):
    """A list, one a line. A browser ends lines by another sign than we do, which is no change."""

    widget = forms.Textarea(attrs={"rows": 4})

    def to_python(self, value: Any) -> str:
        """Return the lines with our ends."""
        return str(super().to_python(value)).replace("\r\n", "\n")


def ask_field(name: str) -> str:
    """Return the name of the field that says whether a protocol is asked."""
    return f"ask_{name}"


class ProjectForm(forms.ModelForm):
    """A project's settings, its protocols among them: one choice for each, and its lists.

    A new project also takes its first guidelines and whom to invite, in `guidelines` and `invited`.
    """

    guidelines = forms.CharField(
        label=_("Guidelines"),
        required=False,
        max_length=GUIDELINES_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_("What makes an answer good, in Markdown; it stands beside every item."),
    )
    invited = forms.CharField(
        label=_("Invite annotators"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_(
            "E-mail addresses, one a line. Each gets a link that you send; more people can come later."
        ),
    )
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
        usual = Project()
        self._unusual = {
            name for name in self.Meta.fields if getattr(self.instance, name) != getattr(usual, name)
        }
        self.initial["languages"] = ", ".join(self.instance.languages)
        self._offer_writers()
        if not self.instance._state.adding:
            del self.fields["guidelines"], self.fields["invited"]
        for name, protocol in protocols.found().items():
            now = asked.get(name)
            self.fields[ask_field(name)] = forms.ChoiceField(
                label=str(protocol.label),
                choices=ASKED,
                required=False,
                help_text=str(protocol.help),
                initial="" if now is None else "required" if now.get("required") else "optional",
            )
            for key, (label, default) in protocol.lists.items():
                lines = (now or {}).get(key) or default
                self.fields[list_name := f"{ask_field(name)}_{key}"] = LinesField(
                    label=str(label), required=False, initial="\n".join(lines)
                )
                if tuple(lines) != default:
                    self._unusual.add(list_name)

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
        codes = [part.strip() for part in self.cleaned_data["languages"].split(",")]
        return list(dict.fromkeys(filter(None, codes)))

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

    def clean_invited(self) -> list[str]:
        """Return the addresses, each once."""
        lines = [
            part.strip().lower() for part in self.cleaned_data["invited"].replace(",", "\n").splitlines()
        ]
        found = list(dict.fromkeys(filter(None, lines)))
        if len(found) > MOST_INVITED:
            raise forms.ValidationError(
                _("Invite at most %(most)d at once; more can be invited later.") % {"most": MOST_INVITED}
            )
        for one in found:
            try:
                validate_email(one)
            except forms.ValidationError:
                raise forms.ValidationError(_("“%(one)s” is no e-mail address.") % {"one": one}) from None
        return found

    def first_fields(self) -> Iterator[forms.BoundField]:
        """Yield what a project is about."""
        yield from (self[name] for name in FIRST if name in self.fields)

    def who_fields(self) -> Iterator[forms.BoundField]:
        """Yield who judges."""
        yield from (self[name] for name in WHO if name in self.fields)

    def groups(self) -> Iterator[Group]:
        """Yield the other settings, by what they are about."""
        for key, title, hint, names in GROUPS:
            there = [name for name in names if name in self.fields]
            yield Group(key, title, hint, [self[name] for name in there], any(map(self._stands_out, there)))

    def common_ways(self) -> list[Way]:
        """Return the ways to ask that most projects use, and those that this one does."""
        return [self._way(one) for one in protocols.found().values() if self._is_at_hand(one)]

    def other_ways(self) -> list[Way]:
        """Return the other ways to ask."""
        return [self._way(one) for one in protocols.found().values() if not self._is_at_hand(one)]

    def _way(self, protocol: protocols.Protocol) -> Way:
        name = ask_field(protocol.name)
        lists = [f"{name}_{key}" for key in protocol.lists]
        return Way(self[name], [self[one] for one in lists], any(map(self._stands_out, lists)))

    def _is_at_hand(self, protocol: protocols.Protocol) -> bool:
        name = ask_field(protocol.name)
        lists = [f"{name}_{key}" for key in protocol.lists]
        return protocol.is_common or bool(self[name].value()) or any(map(self._stands_out, [name, *lists]))

    def _stands_out(self, name: str) -> bool:
        """Say whether a field has an error or is not as it comes."""
        if name in self.errors or (self.is_bound and name in self.changed_data):
            return True
        return name in self._unusual
