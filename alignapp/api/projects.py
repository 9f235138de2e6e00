"""`/v1/projects`: a project's data in and out, for programs of its owner and managers, by the pages' rules.

Knows nothing of formats and rows: `alignapp.exchange` does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.template.defaultfilters import filesizeformat

from alignapp.annotation.access import MANAGING
from alignapp.annotation.models import Membership, Project
from alignapp.api.errors import ApiError
from alignapp.api.models import ApiToken, Scope
from alignapp.api.views import endpoint
from alignapp.audit.services import record
from alignapp.chat.events import briefly
from alignapp.exchange import records, services
from alignapp.exchange.forms import ExportForm
from alignapp.exchange.models import Import
from alignapp.zipping import sent

PIECE = 64 * 1024  # bytes
LICENCE_CHARACTERS = 100


@endpoint("GET", Scope.PROJECTS)
async def projects(_request: HttpRequest, token: ApiToken) -> HttpResponseBase:
    """List the projects that this person owns or manages."""
    mine = Membership.objects.filter(person=token.person, role__in=MANAGING).select_related("project")
    found = [
        {"id": str(one.project_id), "object": "project", "name": one.project.name, "role": one.role}
        for one in await briefly(lambda: list(mine))
    ]
    return JsonResponse({"object": "list", "data": found})


@endpoint("POST", Scope.PROJECTS)
async def new_import(request: HttpRequest, token: ApiToken, project_id: uuid.UUID) -> HttpResponseBase:
    """Keep the body as a file, and say what it holds; nothing is stored before it is committed."""
    said = request.GET
    if len(licence := said.get("licence", "")) > LICENCE_CHARACTERS:
        raise ApiError(400, f"A licence has at most {LICENCE_CHARACTERS} characters.", param="licence")

    def kept() -> Import:
        return services.upload(
            token.person, _managed(token, project_id), said.get("name", "by API"), _pieces(request),
            form=said.get("format", ""), licence=licence, may_train=said.get("may_train") == "true",
        )  # fmt: skip

    return JsonResponse(_told(await briefly(kept)), status=201)


@endpoint("GET", Scope.PROJECTS)
async def one_import(_request: HttpRequest, token: ApiToken, import_id: uuid.UUID) -> HttpResponseBase:
    """Say how far an import is."""
    return JsonResponse(_told(await briefly(lambda: _import(token, import_id))))


@endpoint("POST", Scope.PROJECTS)
async def commit(_request: HttpRequest, token: ApiToken, import_id: uuid.UUID) -> HttpResponseBase:
    """Have a worker store what a file holds."""

    def begun() -> Import:
        row = _import(token, import_id)
        services.start(row)
        record(token.person, "project.imported", row.project)
        return _import(token, import_id)

    return JsonResponse(_told(await briefly(begun)), status=202)


@endpoint("GET", Scope.PROJECTS)
async def export(request: HttpRequest, token: ApiToken, project_id: uuid.UUID) -> HttpResponseBase:
    """Send the zip that the page sends: a file for each `format`, and the card."""
    purpose = request.GET.get("purpose", "training")
    form = ExportForm({"formats": request.GET.getlist("format"), "purpose": purpose})
    if not form.is_valid():
        name, problems = next(iter(form.errors.items()))
        param = {"formats": "format"}.get(name, name)
        raise ApiError(400, " ".join(map(str, problems)), param=param)

    def begun() -> Iterator[bytes]:
        project = _managed(token, project_id)
        record(token.person, "project.exported", project, purpose=purpose)
        about = services.about_project(project)
        formats = form.cleaned_data["formats"]
        return services.pack(
            lambda: records.of_project(project), formats, form.cleaned_data["purpose"], about
        )

    response = StreamingHttpResponse(sent(await briefly(begun)), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{project_id}-{purpose}.zip"'
    return response


def _managed(token: ApiToken, project_id: uuid.UUID) -> Project:
    """Return a project that the token's person owns or manages. Raises ApiError."""
    found = Project.objects.managed_by(token.person).filter(pk=project_id).first()
    if found is None:
        raise ApiError(404, "There is no such project of yours.", param="project")
    return found


def _import(token: ApiToken, import_id: uuid.UUID) -> Import:
    managed = Import.objects.managed_by(token.person).select_related("project")
    if (found := managed.filter(pk=import_id).first()) is None:
        raise ApiError(404, "There is no such import of yours.", param="import")
    return found


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    """Yield the body. Raises ApiError when it is larger than a page would take."""
    size = 0
    while piece := request.read(PIECE):
        size += len(piece)
        if size > settings.MAX_UPLOAD_BYTES:
            raise ApiError(413, f"The file is larger than {filesizeformat(settings.MAX_UPLOAD_BYTES)}.")
        yield piece


def _told(row: Import) -> dict[str, Any]:
    return {
        "id": str(row.id), "object": "import", "project": str(row.project_id), "name": row.name,
        "format": row.format, "state": row.state, "preview": row.preview, "progress": row.progress,
        "counts": row.counts, "errors": row.errors, "reason": row.reason,
    }  # fmt: skip
