"""What a page or a script may send as feedback."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from alignapp.feedback.models import Feedback, GapResolution
from alignapp.numbers import whole

DAY_MS = 24 * 3600 * 1000


class FeedbackForm(forms.Form):
    """One act on one turn. A ranking comes as JSON, or as `place-<reply id>` fields of a plain form."""

    kind = forms.ChoiceField(choices=Feedback.Kind.choices)
    reply = forms.UUIDField(required=False)
    score = forms.IntegerField(required=False, min_value=1, max_value=100)
    thumb = forms.TypedChoiceField(choices=[(1, 1), (-1, -1)], coerce=int, required=False, empty_value=None)
    ranking = forms.JSONField(required=False)
    text = forms.CharField(
        required=False,
        max_length=20_000,
        error_messages={
            "max_length": _("This has %(show_value)d characters; at most %(limit_value)d fit. Shorten it.")
        },
    )
    protocol = forms.SlugField(required=False, max_length=40)
    duration_ms = forms.IntegerField(required=False, min_value=0, max_value=DAY_MS)
    input_kind = forms.ChoiceField(
        required=False, choices=[(kind, kind) for kind in ("keyboard", "pointer", "touch")]
    )

    def clean_kind(self) -> str:
        """A follow-up is recorded by the chat itself, a blind repeat by its own page."""
        kind: str = self.cleaned_data["kind"]
        if kind == Feedback.Kind.REPEAT:
            raise forms.ValidationError("A blind repeat is given on its own page.")
        if kind == Feedback.Kind.FOLLOW_UP:
            raise forms.ValidationError("A follow-up is the next message itself; send that.")
        return kind

    def clean_ranking(self) -> list[list[str]] | None:
        """Return places of reply ids, best first."""
        ranking = self.cleaned_data["ranking"]
        if ranking is None:
            ranking = self._places()
        is_list = isinstance(ranking, list) and all(isinstance(place, list) for place in ranking)
        if not (is_list and all(isinstance(item, str) for place in ranking for item in place)):
            raise forms.ValidationError("A ranking is a list of places, each a list of answers.")
        return ranking or None

    def _places(self) -> list[list[str]]:
        places: dict[int, list[str]] = {}
        for name, value in self.data.items():
            if name.startswith("place-") and (place := whole(str(value))) is not None:
                places.setdefault(place, []).append(name.removeprefix("place-"))
        return [places[place] for place in sorted(places)]

    def first_error(self) -> str:
        """Return the first thing that is wrong, in one sentence."""
        data: dict[str, Any] = json.loads(self.errors.as_json())
        name, found = next(iter(data.items()))
        words: str = found[0]["message"]
        return words if name == "text" else f"{name}: {words}"


class RepeatForm(forms.Form):
    """A second judgement of two answers: which of the two shown, or both alike."""

    ANSWERS = (("first", "first"), ("second", "second"), ("alike", "alike"))

    turn = forms.UUIDField()
    answer = forms.ChoiceField(choices=ANSWERS)
    done = forms.IntegerField(required=False, min_value=0, max_value=1000)


class GapForm(forms.Form):
    """What a person says to one gap."""

    value = forms.CharField(max_length=80)
    gap = forms.ChoiceField(choices=GapResolution.Gap.choices)
    decision = forms.ChoiceField(choices=GapResolution.Decision.choices)
    note = forms.CharField(required=False, max_length=500)
