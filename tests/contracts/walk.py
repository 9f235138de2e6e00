"""Walk over every route as somebody, each request undone afterwards."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import FileResponse, HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.contracts.routes import Route

if TYPE_CHECKING:  # it makes artifacts, and so imports torch; what only walks stays as light as the web
    from tests.web.everything import Everything


def route_names(resolver: URLResolver | None = None, space: str = "") -> Iterator[str]:
    """Yield the full name of every route; one without a name as "space:None"."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from route_names(pattern, f"{space}{pattern.namespace}:" if pattern.namespace else space)
        else:
            assert isinstance(pattern, URLPattern)
            yield f"{space}{pattern.name}"


def address(route: Route, rows: Everything | None) -> str:
    """Return a route's address, with the ids of these rows, or with ids of nothing."""
    ids = {name: getattr(rows, row).pk if rows else uuid.uuid4() for name, row in route.ids.items()}
    return reverse(route.name, kwargs={**route.fixed, **ids} or None)


def ask(client: Client, method: str, url: str) -> HttpResponseBase:
    """Send one request without data, and undo what it did."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        response = client.generic(method, url, content_type="application/x-www-form-urlencoded")
        if isinstance(response, FileResponse):  # nobody reads it here to its end
            for close in response._resource_closers:
                close()
        transaction.set_rollback(True)
    client.cookies = cookies  # signing out is undone too
    return response
