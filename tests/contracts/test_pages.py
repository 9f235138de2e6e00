"""Every page as the browser gets it: a strict policy, nothing inline, nothing of the inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views import defaults

from alignapp.accounts.models import Person
from tests.contracts.routes import ROUTES
from tests.contracts.test_routes import admin_addresses
from tests.contracts.walk import address, ask
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
POLICY = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
}
HANDLERS = re.compile(r"on[a-z]+$|hx-on")


class Inline(HTMLParser):
    """Collects what a strict policy would refuse, and what would leave our origin."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (
            tag == "script" and "src" not in given and given.get("type") != "application/json"
        ):
            self.found.append(f"inline <{tag}>")
        for name, value in given.items():
            if (
                name == "style"
                or HANDLERS.match(name)
                or (value or "").strip().lower().startswith("javascript:")
            ):
                self.found.append(f'<{tag} {name}="{value}">')
            loads = name in ("src", "href") and tag in ("script", "link", "img", "iframe")
            if loads and re.match(r"(https?:)?//|data:", value or ""):
                self.found.append(f"{tag} from elsewhere: {value}")


def inline_in(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    return parser.found


def test_the_scan_sees_what_it_should():
    bad = '<p style="a"><b onclick="x()"><script>1</script><style></style><a href="javascript:1">'
    bad += '<script src="//x">'
    assert len(inline_in(bad)) == 6
    assert inline_in('<script src="/a.js"></script><svg class="x"></svg>') == []
    assert misplaced_headings("<h1>A</h1><h3>C</h3>") == ["h3 after h1"]
    assert misplaced_headings("<h1>A</h1><h2>B</h2><h3>C</h3><h2>D</h2>") == []


def misplaced_headings(html: str) -> list[str]:
    """Return where who jumps from heading to heading would stumble: a page has one h1, first, and no gaps."""
    levels = [0, *map(int, re.findall(r"<h([1-6])\b", html))]
    found = [f"h{below} after h{above}" for above, below in pairwise(levels) if below > above + 1]
    return found + ([] if levels.count(1) == 1 else [f"{levels.count(1)} h1"])


def pages(rows, owner) -> Iterator[tuple[str, object]]:
    """Yield every page that answers a GET: as a visitor, as the owner and as an operator."""
    signed_in = Client()
    signed_in.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    session = signed_in.session
    session["account_authentication_methods"] = [{"method": "password", "at": 4e9, "reauthenticated": True}]
    session.save()
    root = Person.objects.create_superuser("root@example.org", "a long pass phrase")
    operator = signed_in_with("operator", root)
    for route in ROUTES:
        if route.access == "panel" and "GET" in route.methods:
            yield route.name, ask(operator, "GET", address(route, rows))
    for route in ROUTES:
        if "GET" in route.methods:
            for client in (Client(), signed_in):
                yield route.name, ask(client, "GET", address(route, rows))
    for name, url in admin_addresses():
        yield f"admin:{name}", ask(operator, "GET", url)
    for model in ("accounts_person", "audit_auditevent", "adapters_job", "adapters_artifact"):
        listed = ask(operator, "GET", reverse(f"admin:{model}_changelist"))
        for url in set(
            re.findall(
                rf'href="(/admin/{model.replace("_", "/", 1)}/[^"?]+/change/)', listed.content.decode()
            )
        ):
            yield url, ask(operator, "GET", url)
    for path in ("/nowhere", "/chat/nowhere/"):
        yield path, ask(signed_in, "GET", path)


def test_every_page_has_the_policy_nothing_inline_and_an_outline(rows, owner):
    wrong, count = [], 0
    for name, response in pages(rows, owner):
        if not response.headers["Content-Type"].startswith("text/html"):
            continue
        policy = dict(
            part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";")
        )
        if policy != POLICY or "nosniff" not in response.headers["X-Content-Type-Options"]:
            wrong.append(f"{name}: {response.headers['Content-Security-Policy']}")
        if response.status_code == 200 or response.status_code >= 400:
            count += 1
            html = response.content.decode()
            wrong += [f"{name}: {what}" for what in inline_in(html)]
            if "<html" in html and "admin" not in name:
                wrong += [f"{name}: {what}" for what in misplaced_headings(html)]
    assert sorted(set(wrong)) == []
    assert count > 60


def test_error_pages_are_ours_and_have_nothing_inline(rf: RequestFactory, owner):
    request = rf.get("/")
    request.user = owner
    answers = {
        500: defaults.server_error(request),
        404: defaults.page_not_found(request, Exception()),
        403: defaults.permission_denied(request, Exception()),
    }
    for status, response in answers.items():
        html = response.content.decode()
        assert response.status_code == status
        assert reverse("home") in html
        assert inline_in(html) == []


def test_no_page_shows_numbers_of_the_model_or_places_on_disk(rows, owner):
    """Output distributions make disalignment easy (arXiv:2402.12343), and nobody needs our paths."""
    forbidden = re.compile(r"logits?\b|log_?probs|\blogit_bias\b|Traceback", re.IGNORECASE)
    places = (str(settings.ARTIFACT_DIR), str(settings.VAR_DIR), str(settings.BASE_DIR))
    wrong = []
    for name, response in pages(rows, owner):
        if response.streaming or "octet-stream" in response.headers["Content-Type"]:
            continue
        text = response.content.decode(errors="replace")
        wrong += [f"{name}: {match[0]}" for match in forbidden.finditer(text)]
        wrong += [f"{name}: {place}" for place in places if place in text]
    assert wrong == []
