"""One item, typed or pasted by a manager: a prompt, its answers, and what is right of gold and checks."""

from __future__ import annotations

import hashlib
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Item, Project
from alignapp.annotation.services.items import NewCandidate, NewItem

MOST_CANDIDATES = 8
PICK = "pick-1-of-n"
LOWEST = {"slider-1-100": 15, "scale-1-7": 1}  # what still is the lowest end of a rating
# What an attention check may ask for: nothing that names an answer by its place, since the order is random.
CHECKS = (
    ("none", _("Say that all are bad")),
    ("tie", _("Say that they are alike")),
    ("lowest", _("Rate every answer lowest")),
    ("best", _("Pick the answer that asks for it (its number above)")),
)
SAID = {
    "none": _("To show that you read this, choose “All are bad” here."),
    "tie": _("To show that you read this, choose “They are alike” here."),
    "lowest": _("To show that you read this, give every answer the lowest rating here."),
}


class ItemForm(forms.Form):
    """One item: a prompt and its answers, with lines of three dashes between them."""

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
        label=_("Right answer (gold)"),
        required=False,
        min_value=1,
        max_value=MOST_CANDIDATES,
        help_text=_("Its number, counted from the top."),
    )
    check = forms.ChoiceField(
        label=_("What an attention check asks for"),
        choices=CHECKS,
        required=False,
        help_text=_("It is said under the prompt, in so many words; everybody who reads it can do it."),
    )
    language = forms.ChoiceField(label=_("Language"), required=False)
    may_train = forms.BooleanField(label=_("May be used for training"), required=False, initial=True)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._project = project
        if len(project.languages) > 1:
            language = self.fields["language"]
            assert isinstance(language, forms.ChoiceField)
            language.choices = [("", _("not said")), *project.language_names]
        else:
            del self.fields["language"]

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
        """See that a gold item and an attention check say what is right, and that it can be answered."""
        cleaned: dict[str, Any] = super().clean() or {}
        cleaned["purpose"] = cleaned.get("purpose") or Item.Purpose.ORDINARY
        cleaned["check"] = cleaned.get("check") or "none"
        answers, best = cleaned.get("answers", []), cleaned.get("best")
        if best and best > len(answers):
            self.add_error("best", _("There are fewer answers than that."))
        if cleaned["purpose"] == Item.Purpose.ORDINARY:
            return cleaned
        is_check = cleaned["purpose"] == Item.Purpose.ATTENTION
        if not best and (not is_check or cleaned["check"] == "best"):
            self.add_error("best", _("Say which answer is the right one."))
        if (
            is_check
            and "answers" in cleaned
            and (wrong := self._unanswerable(cleaned["check"], len(answers)))
        ):
            self.add_error("check", wrong)
        most = self._project.candidates_shown
        if most and len(answers) > most:
            words = gettext("This project shows %(n)d answers at a time; give this kind of item no more.")
            self.add_error("answers", words % {"n": most})
        return cleaned

    def _unanswerable(self, check: str, count: int) -> str:
        """Return why nobody could do in this project what a check asks for; "" when they can."""
        asked = {one["name"] for one in self._project.protocols}
        if check == "lowest":
            if not asked & set(LOWEST):
                return gettext("This project asks for no rating. Choose something that it asks for.")
            return "" if count else gettext("Give the answers; nobody writes those of an attention check.")
        if PICK not in asked:
            return gettext("This project does not ask which is better. Choose the lowest rating instead.")
        return "" if count > 1 else gettext("Give two answers or more, so that there is a choice.")

    def item(self) -> NewItem:
        """Return what was typed; its key is a hash of it, so that the same twice is one item."""
        data = self.cleaned_data
        prompt = data["prompt"]
        if data["purpose"] == Item.Purpose.ATTENTION and data["check"] in SAID:
            prompt = f"{prompt}\n\n{SAID[data['check']]}"
        parts = [prompt, *(one.text for one in data["answers"])]
        return NewItem(
            key=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32],
            messages=[{"role": "user", "content": prompt}],
            candidates=data["answers"],
            language=data.get("language") or self._project.only_language,
            may_train=data["may_train"],
            purpose=data["purpose"],
            expected=self._expected(),
        )

    def _expected(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data["purpose"] == Item.Purpose.ATTENTION and data["check"] in ("none", "tie"):
            return {PICK: {"said": data["check"]}}
        if data["purpose"] == Item.Purpose.ATTENTION and data["check"] == "lowest":
            asked = {one["name"] for one in self._project.protocols}
            every = range(len(data["answers"]))
            return {
                name: {str(i): [1, most] for i in every} for name, most in LOWEST.items() if name in asked
            }
        return {PICK: {"best": [data["best"] - 1]}} if data["best"] else {}


def _candidate(text: str) -> NewCandidate:
    first, _line, rest = text.partition("\n")
    if first.startswith("[model:") and first.rstrip().endswith("]"):
        return NewCandidate(text=rest.strip(), maker=first.rstrip()[7:-1].strip()[:200])
    return NewCandidate(text=text)
