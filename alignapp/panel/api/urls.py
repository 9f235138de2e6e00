"""The addresses of the operator API, and its OpenAPI document, made from what the functions declare."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest
from django.urls import URLPattern, path
from ninja import NinjaAPI, Router
from ninja.operation import Operation

from alignapp.panel.api import artifacts, bases, campaigns, figures, jobs, options, people, record
from alignapp.panel.api.auth import READ, TokenRequest
from alignapp.panel.api.errors import install, missing, shaped

PREFIX = "operate/api/v1/"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class _Api(NinjaAPI):
    """Names each operation by its function, as the routes are."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return the name."""
        return operation.view_func.__name__


api = _Api(
    title="alignapp for operators",
    version="1",
    description="What the operators' panel shows and does. Tokens are made at /operate/tokens/.",
    docs_url=None,
    openapi_url=None,
    urls_namespace="operator_api",
)
install(api)
api.add_router("artifacts", artifacts.router)
api.add_router("jobs", jobs.router)
api.add_router("people", people.router)
api.add_router("campaigns", campaigns.router)
api.add_router("options", options.router)
api.add_router("models", bases.router)
api.add_router("audit", record.router)
api.add_router("", figures.router)


@api.get("openapi.json", auth=READ, include_in_schema=False)
def openapi(request: TokenRequest) -> dict[str, Any]:  # noqa: ARG001
    """Describe every address."""
    return _document()


_elsewhere = Router()  # after every other
api.add_router("", _elsewhere)


@_elsewhere.api_operation(METHODS, "{path:address}", auth=None, include_in_schema=False)
def unknown(request: HttpRequest, address: str) -> None:  # noqa: ARG001
    """Answer for an address that there is not."""
    raise missing()


@cache
def _document() -> dict[str, Any]:
    return dict(api.get_openapi_schema(path_prefix=f"/{PREFIX}"))


app_name = "operator_api"
# Without ninja's own root, which is an error page of another shape.
urlpatterns = [
    path(str(each.pattern), shaped(each.callback), name=each.name)
    for each in api.urls[0]
    if isinstance(each, URLPattern) and each.name != "api-root"
]
