"""What a manager says of a file to be imported, and what is to be exported."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from personalization.exchange.registry import all_formats


def _readable() -> list[tuple[str, str]]:
    named = [(one.name, one.title) for one in all_formats() if one.read and one.write_examples]
    return [("", str(gettext_lazy("Find out from the file"))), *named]


class ImportForm(forms.Form):
    """A file, its format, and what may be done with it."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("JSONL, a JSON array or CSV, each also as .gz."),
    )
    format = forms.ChoiceField(label=gettext_lazy("Format"), required=False, choices=_readable)
    licence = forms.CharField(
        label=gettext_lazy("Licence"),
        required=False,
        max_length=100,
        help_text=gettext_lazy(
            "Of rows that name none, such as CC-BY-4.0. Non-commercial ones are not trained on."
        ),
    )
    may_train = forms.BooleanField(
        label=gettext_lazy("The people agreed that models are trained on it"), required=False
    )

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > settings.MAX_UPLOAD_BYTES:
            most = filesizeformat(settings.MAX_UPLOAD_BYTES)
            raise forms.ValidationError(
                _("The file is larger than %(most)s. An operator can import it with manage.py import_data.")
                % {"most": most}
            )
        return file


class ExportForm(forms.Form):
    """Formats and a purpose. A project holds no answers about people: formats of these would be empty."""

    formats = forms.MultipleChoiceField(
        label=gettext_lazy("Formats"),
        widget=forms.CheckboxSelectMultiple,
        choices=lambda: [(one.name, one.title) for one in all_formats() if one.write_examples],
        error_messages={"required": gettext_lazy("Choose at least one format.")},
    )
    purpose = forms.ChoiceField(
        label=gettext_lazy("What for"),
        widget=forms.RadioSelect,
        initial="training",
        choices=(
            ("training", gettext_lazy("For training: without what may not be trained on")),
            (
                "analysis",
                gettext_lazy("For analysis: everything; each row says whether it may be trained on"),
            ),
        ),
    )
