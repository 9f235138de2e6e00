"""Forms of the panel: filters that are read from the address, reasons, and names that must be typed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from alignapp.adapters.models import MERGE, PROVE, Job, MethodInfo
from alignapp.api.forms import TokenForm
from alignapp.panel.jobs import ACTS
from alignapp.panel.pages.listing import by_id
from alignapp.panel.tokens import DAYS, scopes_for

AGES = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
REASON_CHARACTERS = 300


class JobFilter(forms.Form):
    """Which jobs to list. What is not understood is said and filters nothing."""

    id = forms.CharField(label=_("Id, or its beginning"), required=False, max_length=36)
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("any")), *Job.State.choices])
    method = forms.ChoiceField(label=_("Method"), required=False)
    person = forms.CharField(label=_("Pseudonym"), required=False, max_length=16)
    older = forms.ChoiceField(
        label=_("Asked for"),
        required=False,
        choices=[
            ("", _("any time")),
            ("hour", _("more than an hour ago")),
            ("day", _("more than a day ago")),
            ("week", _("more than a week ago")),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = MethodInfo.objects.values_list("name", flat=True)
        field = self.fields["method"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("any")), *((name, name) for name in (*names, MERGE, PROVE))]

    def clean_id(self) -> Q:
        """Return the condition."""
        text = self.cleaned_data["id"]
        try:
            return by_id(text) if text else Q()
        except ValueError:
            raise forms.ValidationError(_("An id has up to 32 digits and letters a to f.")) from None

    def chosen(self) -> QuerySet[Job]:
        """Return the jobs that pass. Executes no query by itself."""
        self.is_valid()
        given = self.cleaned_data
        jobs = Job.objects.filter(given.get("id", Q()))
        if given.get("state"):
            jobs = jobs.filter(state=given["state"])
        if given.get("method"):
            jobs = jobs.filter(method=given["method"])
        if given.get("person"):
            jobs = jobs.filter(person__pseudonym__startswith=given["person"])
        if given.get("older"):
            jobs = jobs.filter(created_at__lt=timezone.now() - AGES[given["older"]])
        return jobs


class ReasonForm(forms.Form):
    """Why something is done; the person whom it concerns reads it."""

    reason = forms.CharField(
        label=_("Reason (on record; the person sees it)"),
        max_length=REASON_CHARACTERS,
        widget=forms.TextInput,
    )


class TypedNameForm(ReasonForm):
    """A reason, and the name of what will be gone, typed."""

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name
        self.fields["typed"] = forms.CharField(label=_("Type %(name)s to confirm") % {"name": name})

    def clean_typed(self) -> str:
        """Return the name. Raises ValidationError for another one."""
        typed: str = self.cleaned_data["typed"].strip()
        if typed != self._name:
            raise forms.ValidationError(_("That is not %(name)s.") % {"name": self._name})
        return typed


class BulkForm(forms.Form):
    """What to do with many jobs."""

    act = forms.ChoiceField(choices=[(name, name) for name in ACTS])


class PersonFilter(forms.Form):
    """Whom to list."""

    person = forms.CharField(label=_("Pseudonym"), required=False, max_length=16)


class RevealForm(ReasonForm):
    """What to look at, and why."""

    WHAT = (
        ("address", _("E-mail address")),
        ("profile", _("What they say of themselves")),
        ("conversations", _("Their latest conversations")),
        ("feedback", _("Their latest feedback in words")),
    )
    what = forms.ChoiceField(label=_("What"), choices=WHAT)
    field_order = ("what", "reason")


class AuditFilter(forms.Form):
    """Which events to list."""

    verb = forms.CharField(label=_("Verb, or its beginning"), required=False, max_length=60)
    actor = forms.CharField(label=_("By (pseudonym)"), required=False, max_length=40)
    subject = forms.CharField(label=_("About (pseudonym)"), required=False, max_length=40)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def conditions(self) -> Q:
        """Return what passes."""
        self.is_valid()
        found = Q()
        lookups = {"verb": "verb__startswith", "actor": "actor_label", "subject": "subject_label"}
        lookups |= {"since": "at__date__gte", "until": "at__date__lte"}
        for name, lookup in lookups.items():
            if value := self.cleaned_data.get(name):
                found &= Q(**{lookup: value})
        return found


class OperatorTokenForm(TokenForm):
    """A token for the operator API: no more than the roles allow, and always with an end."""

    lifetime = forms.ChoiceField(
        label=_("It works for"), choices=[(str(n), ngettext_lazy("%d day", "%d days") % n) for n in DAYS]
    )

    def __init__(self, *args: Any, roles: Collection[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = scopes_for(roles)
        field = self.fields["scopes"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(scope.value, scope.label) for scope in allowed]
        field.initial = allowed[:1]
        self.fields["lifetime"].initial = "30"
        self.fields["name"].help_text = _("What will use it. The name stands in every audit event.")


class LeaveForm(forms.Form):
    """For how long a supporter may look."""

    hours = forms.TypedChoiceField(
        label=_("For how long"),
        coerce=int,
        choices=[(1, _("an hour")), (24, _("a day")), (72, _("three days"))],
    )
