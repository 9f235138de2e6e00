"""Forms of the pages about base models and campaigns."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from alignapp.adapters import bases
from alignapp.adapters.models import PROVE, MethodInfo
from alignapp.adapters.proofs import KINDS
from alignapp.campaigns.models import MOST_IN_A_WAVE, Campaign
from alignapp.panel.forms import REASON_CHARACTERS, TypedNameForm


def _percent(label: Any, initial: int, help_text: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=0, max_value=100, initial=initial, help_text=help_text)


class WhyForm(forms.Form):
    """Why something is done that concerns many."""

    reason = forms.CharField(label=_("Reason (on record)"), max_length=REASON_CHARACTERS)


class TypedWhyForm(WhyForm, TypedNameForm):
    """A reason, and what cannot be undone typed."""


class AddModelForm(forms.Form):
    """A base model to put on record."""

    spec = forms.CharField(
        label=_("Folder or hub id"),
        max_length=300,
        help_text=_("A folder that the workers' hosts see, by its whole path, or owner/name on the hub."),
    )
    licence = forms.CharField(
        label=_("Licence, where the model does not name it"), max_length=100, required=False
    )


class CampaignForm(forms.Form):
    """What is learned anew or proven again, for whom, and when it stops by itself."""

    name = forms.CharField(label=_("Name"), max_length=80)
    method = forms.ChoiceField(label=_("Method"))
    kind = forms.ChoiceField(
        label=_("What is proven again"),
        choices=[(kind.value, kind.label) for kind in KINDS],
        required=False,
        help_text=_("Only where the method is to prove again."),
    )
    base_revision = forms.ChoiceField(
        label=_("Base model"),
        required=False,
        help_text=_("One that does not answer yet needs a worker that was started with it."),
    )
    whom = forms.ChoiceField(label=_("For everybody"), choices=Campaign.Whom.choices)
    parameters = forms.CharField(
        label=_("Parameters that differ from the method's own"),
        required=False,
        help_text=_("For example beta=0.2, epochs=3"),
    )
    wave_size = forms.IntegerField(
        label=_("People at a time"), min_value=1, max_value=MOST_IN_A_WAVE, initial=10
    )
    margin = _percent(_("Win rate may fall by, points"), 10, _("Whoever falls further keeps what acts now."))
    most_lost = _percent(_("Stop when more lose, % of people"), 30, "")
    most_refused = _percent(_("Stop when more are refused or fail, %"), 20, "")
    switch_on = forms.BooleanField(
        label=_("Switch on what is proven and loses nothing, where the old one is on"),
        required=False,
        initial=True,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        method, base = self.fields["method"], self.fields["base_revision"]
        assert isinstance(method, forms.ChoiceField)
        assert isinstance(base, forms.ChoiceField)
        names = MethodInfo.objects.filter(enabled=True).values_list("name", "produces")
        learned = [(name, f"{name} ({produces})") for name, produces in names]
        method.choices = [*learned, (PROVE, _("Prove again, learn nothing"))]
        named = [(known.revision, f"{known.name} ({known.revision})") for known in bases.waiting()]
        base.choices = [("", _("the one that answers now")), *named]

    def clean_parameters(self) -> dict[str, float]:
        """Return the numbers by name. Raises ValidationError for what is none."""
        found = {}
        for pair in self.cleaned_data["parameters"].split(","):
            name, _equals, value = pair.strip().partition("=")
            if not name:
                continue
            try:
                found[name.strip()] = float(value)
            except ValueError:
                raise forms.ValidationError(
                    _("%(pair)s is no name=number.") % {"pair": pair.strip()}
                ) from None
        return found

    def wanted(self) -> Campaign:
        """Return the campaign, not stored. The form is valid."""
        given = self.cleaned_data
        shares = {name: given[name] / 100 for name in ("margin", "most_lost", "most_refused")}
        plain = ("name", "method", "base_revision", "whom", "parameters", "wave_size", "switch_on")
        kind = given["kind"] if given["method"] == PROVE else ""
        return Campaign(kind=kind, **shares, **{name: given[name] for name in plain})
