"""The annotating page over HTTP, as its script uses it: what is next, the page, drafts, answers.

Knows nothing of Django, the rows, or of who waits for what.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

PATIENCE_SECONDS = 60.0
IDLE_SECONDS = 30.0  # then a kept connection is not trusted: the server closes it after 75 s
FORM = "application/x-www-form-urlencoded"
CSRF = re.compile(r"csrftoken=([^;]+)")
ASSIGNMENT = re.compile(r'data-assignment="([^"]+)"')
DRAFT = re.compile(r'name="draft_number" value="(\d+)"')
PICK = re.compile(r'name="pick-1-of-n" value="([0-9a-f-]{36})"')


class Unexpected(Exception):
    """The server answered something else than it should have."""


@dataclass(frozen=True, slots=True)
class Page:
    """One item in somebody's hands: where it is answered, its candidates as shown, its draft's number."""

    url: str
    assignment: str
    candidates: tuple[str, ...]
    draft_number: str


class Wire:
    """One kept connection with somebody's session, as a browser holds it. Not for two threads at once."""

    def __init__(self, port: int, session: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        self._session, self._token = session, ""
        self._used = time.monotonic()

    def come_in(self, home: str) -> None:
        """Open the project's page, which gives the token that every form sends."""
        self.get(home)
        if not self._token:
            raise Unexpected("the project's page gave no CSRF token")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> str:
        """Return a page's text. Raises Unexpected unless it is there."""
        status, text = self._ask("GET", path, None, {"Accept": "text/html", **(headers or {})})
        if status != 200:
            raise Unexpected(f"GET {path}: {status} {text[:200]}")
        return text

    def post(self, path: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Send a form as the page's script does; return its JSON. Raises Unexpected unless it is taken."""
        headers = {"Accept": "application/json", "Content-Type": FORM, "X-CSRFToken": self._token}
        status, text = self._ask("POST", path, urlencode(fields), headers)
        if status not in (200, 201):
            raise Unexpected(f"POST {path}: {status} {text[:200]}")
        found: dict[str, Any] = json.loads(text)
        return found

    def page(self, url: str) -> Page:
        """Return an item's page, read."""
        text = self.get(url, {"HX-Request": "true"})
        parts = [pattern.search(text) for pattern in (ASSIGNMENT, DRAFT)]
        if not all(parts):
            raise Unexpected(f"GET {url}: no item is on it")
        assignment, number = (found[1] for found in parts if found)
        return Page(url, assignment, tuple(PICK.findall(text)), number)

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> tuple[int, str]:
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()  # the next request opens it anew
        self._used = time.monotonic()
        cookie = f"sessionid={self._session}" + (f"; csrftoken={self._token}" if self._token else "")
        self._connection.request(method, path, body, {**headers, "Cookie": cookie})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if given := CSRF.search(answer.headers.get("Set-Cookie", "")):
            self._token = given[1]
        return answer.status, text
