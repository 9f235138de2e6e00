"""The form in which a manager decides about an item."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Item


class DecisionForm(forms.Form):
    """Which answer counts where one is needed, and why."""

    best = forms.ChoiceField(label=_("The decision"), widget=forms.RadioSelect)
    reason = forms.CharField(label=_("Why"), max_length=1_000, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, item: Item, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        answers = [(str(one.id), _("Answer %d") % (one.position + 1)) for one in item.candidates.all()]
        best = self.fields["best"]
        assert isinstance(best, forms.ChoiceField)
        best.choices = [*answers, ("alike", _("They are alike"))]

    def clean_best(self) -> str:
        """Return the candidate's id, "" for alike."""
        best: str = self.cleaned_data["best"]
        return "" if best == "alike" else best
