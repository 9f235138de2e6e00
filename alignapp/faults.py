"""What a person sees when a part that the pages need does not answer: 503 and what to do, not 500."""

from __future__ import annotations

import logging

import redis
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _

from alignapp.answers import wants_json

log = logging.getLogger(__name__)

RETRY_SECONDS = 10


class BrokerFault(MiddlewareMixin):
    """Answers for pages that cannot do without the broker, such as sign-in, whose attempts it counts.

    Refusing is right there: without the count anybody could try passwords as fast as they like.
    """

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return 503 for a broker that does not answer; other exceptions are not ours."""
        if not isinstance(exception, redis.RedisError):
            return None
        log.error("broker unreachable at %s: %s", request.path, exception)
        if wants_json(request):
            words = _("A part of the application is restarting. Try again in a moment; nothing was lost.")
            response: HttpResponse = JsonResponse({"error": words}, status=503)
        else:
            response = render(request, "503.html", status=503)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
