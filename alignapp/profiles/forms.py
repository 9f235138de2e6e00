"""What the pages of the profile take, checked; what was typed is kept for showing it again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from personalization.cleaning import clean
from personalization.inventory.importing import MAX_CHARACTERS
from personalization.inventory.scoring import AGE_MAX, AGE_MIN
from personalization.values.composer import OWN_LIMIT, Chosen
from personalization.values.contradictions import Contradiction, contradictions
from personalization.values.taxonomy import values

OWN_ROWS = 20
MESSAGE_LIMIT = 3000  # characters; the composer stays far below
IMPORTANCE = 3  # of a value that was just picked


@dataclass
class OwnRow:
    """One value in the person's own words, as typed."""

    text: str = ""
    importance: int = IMPORTANCE
    error: str = ""


class ValuesForm(forms.Form):
    """Picked values and own ones. `content` is what is stored; `rows` what was typed.

    `accepted` names the contradictions that the person has seen and wants to keep.
    """

    chosen = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [(value.key, value.label) for value in values().values()],
        error_messages={"invalid_choice": gettext_lazy("There is no value named %(value)s.")},
    )
    accepted = forms.CharField(required=False, max_length=10_000)

    content: dict[str, Any]

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        self.posted = data
        texts, importances = data.getlist("own_text"), data.getlist("own_importance")
        self.rows = [
            OwnRow(text, self._importance(importance))
            for text, importance in zip_longest(texts, importances[: len(texts)], fillvalue="")
        ]

    @staticmethod
    def _importance(raw: str) -> int:
        """Read an importance; what no page of ours sends counts as the middle."""
        return int(raw) if raw in {"1", "2", "3", "4", "5"} else IMPORTANCE

    def clean(self) -> dict[str, Any]:
        picked = set(self.posted.getlist("chosen"))  # also where another key is unknown: nothing is lost
        chosen = [
            {"key": key, "importance": self._importance(self.data.get(f"importance-{key}", ""))}
            for key in values()
            if key in picked
        ]
        self.content = {"chosen": chosen, "own": self._own()}
        return self.cleaned_data

    def _own(self) -> list[dict[str, Any]]:
        own = []
        written = 0
        for row in self.rows:
            text = clean(row.text)
            written += bool(text)
            if len(text) > OWN_LIMIT:
                row.error = _(
                    "This has %(length)s characters; at most %(limit)s fit. Shorten it or split it."
                ) % {
                    "length": len(text),
                    "limit": OWN_LIMIT,
                }
            elif text and written > OWN_ROWS:
                row.error = _("At most %(limit)s values of your own fit. Remove one.") % {"limit": OWN_ROWS}
            elif text:
                own.append({"text": text, "importance": row.importance})
        if any(row.error for row in self.rows):
            self.add_error(None, _("One of your own values cannot be saved; it says why."))
        return own

    def contradictions(self) -> list[Contradiction]:
        """Return the picked values that pull in opposite directions."""
        return contradictions(Chosen(item["key"], item["importance"]) for item in self.content["chosen"])

    def not_yet_accepted(self) -> bool:
        """Say whether there is a contradiction that the person has not been shown."""
        accepted = set(self.cleaned_data.get("accepted", "").split())
        return any(f"{c.first}/{c.second}" not in accepted for c in self.contradictions())


class MessageForm(forms.Form):
    """A system message written by hand; an empty one means none."""

    system_message = forms.CharField(required=False, strip=False, widget=forms.Textarea)

    def clean_system_message(self) -> str:
        text = clean(self.cleaned_data["system_message"], lines=True)
        if len(text) > MESSAGE_LIMIT:
            raise forms.ValidationError(
                _("The message has %(length)s characters; at most %(limit)s fit. Shorten it a little.")
                % {"length": len(text), "limit": MESSAGE_LIMIT}
            )
        return text


class AnswerForm(forms.Form):
    """One answer to one item."""

    item = forms.IntegerField(min_value=1, max_value=120)
    value = forms.IntegerField(min_value=1, max_value=5)


class FinishForm(forms.Form):
    """With whom scores are compared; both are optional."""

    sex = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Compare me with"),
        choices=[("N", gettext_lazy("everybody")), ("F", gettext_lazy("women")), ("M", gettext_lazy("men"))],
    )
    age = forms.IntegerField(
        required=False,
        label=gettext_lazy("My age"),
        validators=[
            MinValueValidator(AGE_MIN, gettext_lazy("Norms begin at %(limit_value)s years.")),
            MaxValueValidator(AGE_MAX, gettext_lazy("Norms end at %(limit_value)s years.")),
        ],
    )

    def clean_sex(self) -> str:
        return self.cleaned_data["sex"] or "N"


class ImportForm(forms.Form):
    """Answers given elsewhere, as a file or as text; `cleaned_data["text"]` holds either."""

    text = forms.CharField(required=False, strip=False, widget=forms.Textarea)
    file = forms.FileField(required=False, allow_empty_file=True)
    keyed = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if upload := cleaned.get("file"):
            if upload.size > MAX_CHARACTERS:
                self.add_error(
                    "file", _("This file is too large; the answers of one person have a few kilobytes.")
                )
            else:
                cleaned["text"] = upload.read().decode("utf-8-sig", errors="replace")
        if not self.errors and not (cleaned.get("text") or "").strip():
            self.add_error("text", _("Choose a file, or paste its lines here."))
        return cleaned
