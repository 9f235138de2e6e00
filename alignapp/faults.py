"""What would break a page otherwise: a lost broker, text that no database holds, forms sent in vain."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import redis
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from alignapp.adapters.remote import StoreAway
from alignapp.answers import wants_fragment, wants_json

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


class LostForm(MiddlewareMixin):
    """Leads whoever sent a form in vain back to the page of the form, not to the address it was sent to.

    Most of these addresses only take forms: opened after signing in again they would be an empty page.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Mend where signing in leads to after a form, and fill the page of an address that shows nothing."""
        if request.method == "POST" and response.status_code == 302:
            return self._back_after_sign_in(request, response)
        if request.method == "GET" and response.status_code == 405 and not getattr(response, "content", b"x"):
            page = render(request, "405.html", status=405)
            page["Allow"] = response.headers.get("Allow", "")
            return page
        return response

    @staticmethod
    def _back_after_sign_in(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        to = urlsplit(response.headers["Location"])
        sign_in = reverse(settings.LOGIN_URL)
        if to.path != sign_in or parse_qs(to.query).get("next") != [request.get_full_path()]:
            return response
        back = page_of_the_form(request) or reverse("home")
        response.headers["Location"] = f"{sign_in}?{urlencode({'next': back})}"
        if not (wants_fragment(request) or wants_json(request)):
            words = _("You were signed out, so what you sent was not stored. Sign in, then send it again.")
            messages.warning(request, words, extra_tags="warn")
        return response


def page_of_the_form(request: HttpRequest) -> str:
    """Return the address of the page from which a form came, without the host; empty when it is not ours."""
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, {request.get_host()}, require_https=request.is_secure()):
        return ""
    return urlsplit(referer)._replace(scheme="", netloc="").geturl()


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token is not the browser's: an old page after signing in again, or no cookies."""
    log.warning("form refused at %s: %s", request.path, reason)
    if wants_fragment(request) or wants_json(request):
        words = _("This page is older than your sign-in. Reload it, then send it again.")
        return JsonResponse({"error": words}, status=403)
    return render(request, "403_csrf.html", {"back": page_of_the_form(request)}, status=403)
