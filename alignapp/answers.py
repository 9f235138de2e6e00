"""How a POST is answered: to a script, to HTMX, and to a browser without either.

Knows nothing of what was done. Errors are JSON `{"error": "..."}` for scripts; without them the
person goes back to the page and reads the same words there.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from alignapp.accounts.models import Person
from alignapp.limits import TooMany
from personalization.errors import AlignError


class PersonRequest(HttpRequest):
    """A request that `login_required` let through: its user is a person."""

    user: Person


def wants_fragment(request: HttpRequest) -> bool:
    """Say whether HTMX asked, which takes a part of a page."""
    return request.headers.get("HX-Request") == "true"


def wants_json(request: HttpRequest) -> bool:
    """Say whether a script asked, which takes JSON."""
    return "application/json" in request.headers.get("Accept", "")


def status_of(error: AlignError) -> int:
    """Return the HTTP status that says what kind of refusal this is."""
    return 429 if isinstance(error, TooMany) else 409 if error.retryable else 400


def refusal(request: HttpRequest, error: AlignError, back_to: str) -> HttpResponse:
    """Answer a POST that was refused; a browser without scripts goes back to `back_to`."""
    if wants_fragment(request) or wants_json(request):
        response: HttpResponse = JsonResponse({"error": str(error)}, status=status_of(error))
    else:
        messages.error(request, str(error), extra_tags="bad")
        response = HttpResponseRedirect(back_to)
    return saying_when(response, error)


def saying_when(response: HttpResponse, error: AlignError | None) -> HttpResponse:
    """Let the response to a refusal say when to come back, where it was asked too often."""
    if isinstance(error, TooMany):
        response["Retry-After"] = str(error.retry_after_seconds)
    return response
