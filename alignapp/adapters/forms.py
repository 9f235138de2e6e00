"""What the alignment, job and artifact forms accept."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.adapters import options
from alignapp.adapters.models import PARTS, Artifact, MethodInfo
from alignapp.adapters.models.artifact import MOST_STRENGTH

PARAMETER_PREFIX = "parameter_"


class _Form(forms.Form):
    def first_error(self) -> str:
        """Return the first thing that is wrong, in words."""
        return str(next(iter(self.errors.values()))[0])

    def wrong(self) -> dict[str, str]:
        """Return the first thing that is wrong with each field, in words."""
        return {name: str(errors[0]) for name, errors in self.errors.items()}


def _strength() -> forms.FloatField:
    words = gettext_lazy("A strength lies between 0 and 1.5.")
    return forms.FloatField(
        required=False,
        validators=[MinValueValidator(0.0, words), MaxValueValidator(MOST_STRENGTH, words)],
        error_messages={"invalid": words},
    )


class StrengthsForm(_Form):
    """How strongly each part acts, 0 to 1.5; a part that is left out stays as it is."""

    adapter_strength = _strength()
    vector_strength = _strength()
    personality_strength = _strength()
    values_strength = _strength()

    def given(self) -> dict[str, float]:
        """Return the strengths that were sent, by field name."""
        return {name: value for name, value in self.cleaned_data.items() if value is not None}


class DuelForm(_Form):
    """Which of two fresh answers is better; which pair is meant by its place."""

    ANSWERS = (("first", "first"), ("second", "second"), ("alike", "alike"))

    position = forms.IntegerField(min_value=0, max_value=1000)
    answer = forms.ChoiceField(
        choices=ANSWERS,
        error_messages={
            kind: gettext_lazy("Say which of the two answers is better, or that they are alike.")
            for kind in ("required", "invalid_choice")
        },
    )


class PartForm(_Form):
    """Which part is meant: adapter, vector, personality, values, or the system message."""

    part = forms.ChoiceField(choices=[(part, part) for part in (*PARTS, "system_message")])
    on = forms.BooleanField(required=False)


class SwitchOnForm(_Form):
    """Switching on; without proof only with a yes to the warning."""

    accept_unproven = forms.BooleanField(required=False)


class ParametersForm(_Form):
    """A method's parameters within their ranges; one that is left empty is as the method's preset has it."""

    def __init__(self, data: Any, *, info: MethodInfo | None) -> None:
        super().__init__(data)
        self.info = info
        for name, spec in (info.parameters if info else {}).items():
            words = _("%(name)s must lie between %(low)s and %(high)s.") % {"name": name, **spec}
            number = forms.IntegerField if isinstance(spec["default"], int) else forms.FloatField
            self.fields[PARAMETER_PREFIX + name] = number(
                required=False,
                validators=[MinValueValidator(spec["low"], words), MaxValueValidator(spec["high"], words)],
                error_messages={"invalid": words},
            )

    def parameters(self) -> dict[str, float]:
        """Return what a job learns with, as far as it differs from the method's defaults."""
        assert self.info is not None
        kept, found = options.preset(self.info.name), {}
        for name, spec in self.info.parameters.items():
            value = self.cleaned_data.get(PARAMETER_PREFIX + name)
            value = kept.get(name, spec["default"]) if value is None else value
            if value != spec["default"]:
                found[name] = value
        return found


class StartJobForm(ParametersForm):
    """A method, and its parameters where they are not left as they are."""

    method = forms.CharField(max_length=40)

    def __init__(self, data: Any, *, methods: dict[str, MethodInfo]) -> None:
        super().__init__(data, info=methods.get(data.get("method", "")))

    def clean_method(self) -> str:
        if self.info is None:
            raise forms.ValidationError(_("There is no such method, or it is switched off."))
        return self.info.name


class DeleteForm(_Form):
    """The artifact's name, typed: it cannot be brought back."""

    name = forms.CharField(max_length=60)

    def __init__(self, data: Any = None, *, artifact: Artifact) -> None:
        super().__init__(data)
        self.artifact = artifact

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if name.casefold() != str(self.artifact).casefold():
            raise forms.ValidationError(
                _("Type %(name)s to delete it. Nothing was deleted.") % {"name": self.artifact}
            )
        return name
