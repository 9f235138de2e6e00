"""Errors in OpenAI's shape, so that its clients raise what their users expect."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse

from alignapp.limits import TooMany
from personalization.errors import AlignError


class ApiError(AlignError):
    """A request that cannot be answered: `status`, and what OpenAI's clients look at."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param

    @property
    def body(self) -> dict[str, Any]:
        """What goes over the wire, also in the middle of a stream."""
        kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        name = kind.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": str(self), "type": name, "param": self.param, "code": self.code}}


def as_response(error: AlignError) -> JsonResponse:
    """Return the answer to a request that failed with this."""
    if isinstance(error, TooMany):
        found = ApiError(429, str(error), code="rate_limit_exceeded")
        response = JsonResponse(found.body, status=429)
        response["Retry-After"] = str(error.retry_after_seconds)
        return response
    found = error if isinstance(error, ApiError) else ApiError(400, str(error))
    response = JsonResponse(found.body, status=found.status)
    if found.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response
