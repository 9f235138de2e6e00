"""Forms of the page of versions side by side: to merge them, and to ask them the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.adapters import asking
from alignapp.adapters.merging import MAX_WEIGHT
from alignapp.adapters.models import Artifact, MergeWay
from alignapp.panel.forms import ReasonForm


def _not_zero(weight: float) -> None:
    if weight == 0:
        raise ValidationError(_("0 leaves it out: choose the others only."))


class _WayField(forms.ModelChoiceField):
    def label_from_instance(self, obj: MergeWay) -> str:
        return Truncator(f"{obj.name}: {obj.summary}").chars(72)


class MergeForm(ReasonForm):
    """How much of each adapter, by which way, with which of its numbers, and why."""

    way = _WayField(MergeWay.objects.all(), label=gettext_lazy("Way"), empty_label=None)

    def __init__(self, data: QueryDict | None = None, *, artifacts: Sequence[Artifact]) -> None:
        super().__init__(data, auto_id="merge-%s")
        self.artifacts = artifacts
        several = len({artifact.person_id for artifact in artifacts}) > 1
        for artifact in artifacts:
            words = _("Weight of %(version)s of %(person)s") if several else _("Weight of %(version)s")
            self.fields[f"weight-{artifact.pk}"] = _number(
                words % {"version": artifact, "person": artifact.person.pseudonym},
                min_value=-MAX_WEIGHT, max_value=MAX_WEIGHT, initial=1, validators=[_not_zero],
            )  # fmt: skip
        self.ways = list(MergeWay.objects.all())
        for name in knobs_of(self.ways):
            having = ", ".join(way.name for way in self.ways if name in way.parameters)
            self.fields[name] = _number(
                name.replace("_", " ").capitalize(), required=False, help_text=_("With %s.") % having
            )
            self.fields[name].widget.attrs["placeholder"] = _("the way's own")
        self.order_fields([f"weight-{a.pk}" for a in artifacts] + ["way", *knobs_of(self.ways), "reason"])

    def numbers(self) -> list[forms.BoundField]:
        """Return everything but the reason, which stands by itself."""
        return [field for field in self if field.name != "reason"]

    def clean(self) -> dict[str, Any]:
        """Look whether the chosen way has the numbers that were given, and within which range."""
        given = super().clean() or {}
        if way := given.get("way"):
            for name in knobs_of(self.ways):
                if (value := given.get(name)) is not None:
                    self._check(way, name, value)
        return given

    def _check(self, way: MergeWay, name: str, value: float) -> None:
        allowed = way.parameters.get(name)
        if allowed is None:
            self.add_error(name, _("%(way)s has no such number: leave it empty.") % {"way": way.name})
        elif not allowed["low"] <= value <= allowed["high"]:
            words = _("With %(way)s it must lie between %(low)s and %(high)s.")
            self.add_error(name, words % {"way": way.name, **allowed})

    def weights(self) -> dict[Artifact, float]:
        """Return how much of each. The form is valid."""
        return {artifact: self.cleaned_data[f"weight-{artifact.pk}"] for artifact in self.artifacts}

    def parameters(self) -> dict[str, float]:
        """Return the numbers that were given. The form is valid."""
        given = {name: self.cleaned_data[name] for name in knobs_of(self.ways)}
        return {name: value for name, value in given.items() if value is not None}


class AskForm(ReasonForm):
    """Up to so many questions, neutral ones or the operator's own, and why they are asked."""

    neutral = forms.MultipleChoiceField(
        label=gettext_lazy("Neutral questions"),
        choices=[(question, question) for question in asking.NEUTRAL],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        initial=asking.NEUTRAL[:1],
    )
    own = forms.CharField(
        label=gettext_lazy("Your own, one a line"), required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    field_order = ("neutral", "own", "reason")

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data, auto_id="ask-%s")

    def clean_own(self) -> list[str]:
        """Return the lines that hold anything. Raises ValidationError for one that is too long."""
        lines = [line for line in self.cleaned_data["own"].splitlines() if line.strip()]
        most = asking.PROMPT_CHARACTERS
        if any(len(line) > most for line in lines):
            raise ValidationError(_("A question has at most %(n)d characters.") % {"n": most})
        return lines

    def clean(self) -> dict[str, Any]:
        """Count the questions."""
        given = super().clean() or {}
        if "own" in given and "neutral" in given:
            count = len({*given["neutral"], *given["own"]})
            if not 1 <= count <= asking.MOST_PROMPTS:
                words = _("Ask 1 to %(n)d questions, these here or your own; there are %(count)d.")
                self.add_error("own", words % {"n": asking.MOST_PROMPTS, "count": count})
        return given

    def questions(self) -> list[str]:
        """Return what is asked. The form is valid."""
        return [*self.cleaned_data["neutral"], *self.cleaned_data["own"]]


def knobs_of(ways: Sequence[MergeWay]) -> list[str]:
    """Return the names of the parameters that ways to merge have, each once."""
    return sorted({name for way in ways for name in way.parameters})


def focus_first_wrong(form: forms.Form) -> None:
    """Have the browser go to what is wrong first: the page is long."""
    for name in form.errors:
        if name in form.fields:
            form.fields[name].widget.attrs["autofocus"] = True
            return


def _number(label: str, **rules: Any) -> forms.FloatField:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.FloatField(label=label, widget=widget, **rules)
