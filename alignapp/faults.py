"""What would break a page otherwise: a broker that does not answer, and text that no database holds."""

from __future__ import annotations

import logging
from typing import Any

import redis
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _

from alignapp.adapters.remote import StoreAway
from alignapp.answers import wants_json

log = logging.getLogger(__name__)

NUL = "\0"

RETRY_SECONDS = 10


class BrokerFault(MiddlewareMixin):
    """Answers for pages that cannot do without the broker, such as sign-in, whose attempts it counts.

    Refusing is right there: without the count anybody could try passwords as fast as they like.
    """

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return 503 for a broker or a bucket that does not answer; other exceptions are not ours."""
        if not isinstance(exception, redis.RedisError | StoreAway):
            return None
        log.error("broker or store unreachable at %s: %s", request.path, exception)
        if wants_json(request):
            words = _("A part of the application is restarting. Try again in a moment; nothing was lost.")
            response: HttpResponse = JsonResponse({"error": words}, status=503)
        else:
            response = render(request, "503.html", status=503)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response


class NulRemoval(MiddlewareMixin):
    """Takes NUL out of what is sent: no keyboard makes it, and no text field of PostgreSQL holds it."""

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        """Replace the form and the query where one of their values holds a NUL."""
        for name in ("GET", "POST"):
            sent = getattr(request, name)
            if any(NUL in text for values in dict(sent.lists()).values() for text in values):
                clean = sent.copy()
                for key, values in sent.lists():
                    clean.setlist(key, [text.replace(NUL, "") for text in values])
                setattr(request, name, clean)
