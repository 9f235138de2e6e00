"""Every error of the operator API in the shape of `/v1`'s: `{"error": {message, type, param, code}}`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from alignapp.answers import status_of
from alignapp.api.errors import ApiError, as_response
from alignapp.limits import TooMany
from alignapp.panel.api.auth import unknown
from personalization.errors import AlignError

log = logging.getLogger(__name__)


def install(api: NinjaAPI) -> None:
    """Let every error of this API, foreseen or not, be answered in one shape."""

    def handle(kind: type[Exception], to_error: Callable[[Any], AlignError]) -> None:
        def answer(_request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
            return as_response(to_error(error))

        api.add_exception_handler(kind, answer)

    handle(AlignError, _refused)
    handle(ValidationError, _invalid)
    handle(AuthenticationError, lambda _error: unknown())
    handle(HttpError, lambda error: ApiError(error.status_code, str(error)))
    handle(Http404, lambda _error: missing())
    handle(SuspiciousOperation, lambda _error: ApiError(400, "The request is too large or malformed."))
    handle(Exception, _broken)


def missing() -> ApiError:
    """Return what is told of an id or an address that there is not."""
    return ApiError(
        404, "There is nothing here. Ids are whole; see openapi.json for addresses.", code="not_found"
    )


def shaped(view: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
    """Let ninja's own answer to a wrong method have the shape of the others."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        given = view(request, *args, **kwargs)
        if given.status_code != 405:
            return given
        allowed = given["Allow"]
        response = as_response(ApiError(405, f"This address takes {allowed} only."))
        response["Allow"] = allowed
        return response

    return answer


def _refused(error: AlignError) -> AlignError:
    if isinstance(error, ApiError | TooMany):
        return error
    return ApiError(status_of(error), str(error), code="refused")


def _invalid(error: ValidationError) -> ApiError:
    first = error.errors[0]
    names = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "asked")]
    where = ".".join(names) or None
    words = str(first["msg"]).removeprefix("Value error, ")
    return ApiError(400, f"{where}: {words}" if where else words, code="invalid", param=where)


def _broken(error: Exception) -> ApiError:
    log.error("operator API failed", exc_info=error)
    return ApiError(500, "Something broke here. It is in the log; nothing was changed.", code="internal")
