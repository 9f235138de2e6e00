"""Pages of data in and out: upload, preview, commit; and the export as a streamed zip."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.annotation.rights import managed_project
from alignapp.answers import PersonRequest, refusal, wants_fragment
from alignapp.audit.services import record
from alignapp.exchange import records, services
from alignapp.exchange.forms import ExportForm, ImportForm
from alignapp.exchange.models import Import
from alignapp.zipping import sent
from personalization.errors import AlignError
from personalization.exchange.registry import all_formats, get

LISTED = 20


def _import(request: PersonRequest, import_id: uuid.UUID) -> Import:
    managed = Import.objects.managed_by(request.user).select_related("project")
    found: Import = get_object_or_404(managed, id=import_id)
    return found


@login_required
@require_http_methods(["GET", "POST"])
def new_import(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Take a file, look at it, and go on to its preview."""
    project = managed_project(request, project_id)
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            row = services.upload(
                request.user, project, said["file"].name, said["file"].chunks(), form=said["format"],
                licence=said["licence"], may_train=said["may_train"],
            )  # fmt: skip
            return redirect("exchange:one_import", row.id)
        except AlignError as error:
            form.add_error("format", str(error))
    context = {"project": project, "form": form, "imports": project.imports.all()[:LISTED]}
    return render(request, "exchange/import.html", context, status=400 if form.is_bound else 200)


@login_required
@require_GET
@vary_on_headers("HX-Request")
def one_import(request: PersonRequest, import_id: uuid.UUID) -> HttpResponse:
    """Show the preview, then how far the import is; HTMX asks again for the part that moves."""
    row = _import(request, import_id)
    template = "exchange/_one.html" if wants_fragment(request) else "exchange/one.html"
    titles = {one.name: one.title for one in all_formats()}
    context = {"import": row, "project": row.project, "title": titles.get(row.format, row.format)}
    return render(request, template, context | {"percent": round(100 * row.progress)})


@login_required
@require_POST
def commit(request: PersonRequest, import_id: uuid.UUID) -> HttpResponse:
    """Have a worker store the records."""
    row = _import(request, import_id)
    try:
        services.start(row)
    except AlignError as error:
        return refusal(request, error, reverse("exchange:one_import", args=[row.id]))
    record(request.user, "project.imported", row.project)
    return redirect("exchange:one_import", row.id)


@login_required
@require_POST
def discard(request: PersonRequest, import_id: uuid.UUID) -> HttpResponse:
    """Forget an upload that was only looked at."""
    row = _import(request, import_id)
    services.discard(row)
    messages.success(request, _("Thrown away; nothing was imported."), extra_tags="good")
    return redirect("exchange:import", row.project_id)


@login_required
@require_http_methods(["GET", "POST"])
def export(request: PersonRequest, project_id: uuid.UUID) -> HttpResponseBase:
    """Choose formats and a purpose; the POST is the download."""
    project = managed_project(request, project_id)
    form = ExportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        record(request.user, "project.exported", project, purpose=said["purpose"])
        pieces = services.pack(
            lambda: records.of_project(project), said["formats"], said["purpose"],
            services.about_project(project),
        )  # fmt: skip
        name = f"{slugify(project.name) or 'project'}-{said['purpose']}-{timezone.localdate():%Y-%m-%d}.zip"
        response = StreamingHttpResponse(sent(pieces), content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response
    formats = [(option, get(str(option.data["value"]))) for option in form["formats"]]
    context = {"project": project, "form": form, "formats": formats}
    return render(request, "exchange/export.html", context, status=400 if form.is_bound else 200)
