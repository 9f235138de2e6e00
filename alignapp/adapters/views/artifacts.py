"""One artifact: its report card, switching it on, taking it away, deleting it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alignapp.adapters import modelcard, services, store
from alignapp.adapters.download import zipped
from alignapp.adapters.errors import Refused
from alignapp.adapters.forms import DeleteForm, SwitchOnForm
from alignapp.adapters.models import Artifact
from alignapp.adapters.pages.artifacts import artifact_page
from alignapp.adapters.pages.parts import applied
from alignapp.adapters.removal import consequences, remove
from alignapp.answers import PersonRequest, refusal
from alignapp.audit.services import record
from alignapp.zipping import sent
from personalization.errors import AlignError, ArtifactError


def _artifact(request: PersonRequest, artifact_id: uuid.UUID) -> Artifact:
    owned = Artifact.objects.for_person(request.user)
    owned = owned.select_related("report_card", "job", "profile_version", "person")
    artifact: Artifact = get_object_or_404(owned, id=artifact_id)
    return artifact


@login_required
@require_GET
def page(request: PersonRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Show the report card."""
    artifact = _artifact(request, artifact_id)
    return render(request, "adapters/artifact.html", artifact_page(artifact))


@login_required
@require_POST
def switch_on(request: PersonRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Let an artifact shape the next reply, at the strength that was proven."""
    artifact = _artifact(request, artifact_id)
    form = SwitchOnForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused(form.first_error())
        accepted = form.cleaned_data["accept_unproven"]
        version = services.switch_on(request.user, artifact, accept_unproven=accepted)
    except AlignError as error:
        return refusal(request, error, reverse("adapters:artifact", args=[artifact.id]))
    messages.success(request, applied(version.change), extra_tags="good")
    return redirect("adapters:alignment")


@login_required
@require_GET
def download(request: PersonRequest, artifact_id: uuid.UUID) -> HttpResponseBase:
    """Send the artifact's folder as a zip, as PEFT and vLLM read it, while it is read from disk."""
    artifact = _artifact(request, artifact_id)
    try:
        if artifact.is_of_several:
            raise Refused(_("Other people's adapters are in it, who may take them back. It stays here."))
        manifest = store.check(artifact)
    except (ArtifactError, Refused) as error:
        return refusal(request, error, reverse("adapters:artifact", args=[artifact.id]))
    record(request.user, "artifact.downloaded", artifact, digest=artifact.digest)
    name = f"{artifact.kind}-v{artifact.number}"
    response = StreamingHttpResponse(
        sent(zipped(store.folder_of(artifact), name, modelcard.files_of(artifact, manifest))),
        content_type="application/zip",
    )
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_GET
def card_json(request: PersonRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Send the whole report card as JSON, samples included: they are the person's own."""
    artifact = _artifact(request, artifact_id)
    data = modelcard.as_json(artifact, _manifest(artifact), with_samples=True)
    return _attached(data, "application/json", f"{artifact.kind}-v{artifact.number}-report-card.json")


@login_required
@require_GET
def model_card(request: PersonRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Send the model card, as PEFT and the Hugging Face Hub read it, without a word of the person's."""
    artifact = _artifact(request, artifact_id)
    data = modelcard.as_readme(artifact, _manifest(artifact))
    return _attached(data, "text/markdown; charset=utf-8", modelcard.README)


def _manifest(artifact: Artifact) -> dict[str, object]:
    """Return the manifest, or nothing where files are damaged: the card is in the database."""
    try:
        return store.check(artifact)
    except ArtifactError:
        return {}


def _attached(data: bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(data, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: PersonRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Say what deleting takes with it; delete when the name was typed."""
    artifact = _artifact(request, artifact_id)
    form = DeleteForm(request.POST or None, artifact=artifact)
    if request.method == "POST" and form.is_valid():
        name = str(artifact)
        try:
            remove(request.user, artifact)
        except AlignError as error:
            return refusal(request, error, reverse("adapters:artifact", args=[artifact_id]))
        messages.success(request, _("%(name)s is deleted.") % {"name": name}, extra_tags="good")
        return redirect("adapters:alignment")
    context = {"artifact": artifact, "form": form, "consequences": consequences(artifact)}
    return render(request, "adapters/delete.html", context, status=400 if form.errors else 200)
