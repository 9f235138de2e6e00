"""What the form of the vector from ratings accepts."""

from __future__ import annotations

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy

_WORDS = gettext_lazy("A share lies between 0 and 100 percent.")


class StartForm(forms.Form):
    """Whether the vector starts from more than ratings, and whether these count in the common taste."""

    starts = forms.BooleanField(required=False)
    gives = forms.BooleanField(required=False)


class ChoiceForm(forms.Form):
    """The switch, whether it acts beside a chosen alignment, and the share in percent."""

    on = forms.BooleanField(required=False)
    beside = forms.BooleanField(required=False)
    share = forms.IntegerField(
        validators=[MinValueValidator(0, _WORDS), MaxValueValidator(100, _WORDS)],
        error_messages={"invalid": _WORDS, "required": _WORDS},
    )

    def first_error(self) -> str:
        """Return the first thing that is wrong, in words."""
        return str(next(iter(self.errors.values()))[0])
