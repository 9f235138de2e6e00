"""What browsers may keep of a signed-in person's pages: nothing, or Back would show it after signing out.

Knows nothing of single pages; a view that sets Cache-Control itself knows better.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class Unkept(MiddlewareMixin):
    """Asks browsers, and whatever lies between, to store no answer to somebody who is signed in."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Add the header. Who sends no session costs no query."""
        if "Cache-Control" not in response.headers and request.user.is_authenticated:
            response.headers["Cache-Control"] = "no-store"
        return response
