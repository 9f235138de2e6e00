"""An operator in a real browser: second factor, overview, a job found, a person's words for a reason."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from axe_playwright_python.sync_playwright import Axe

from alignapp.accounts.models import Person
from alignapp.adapters.models import Job
from alignapp.chat import streams
from alignapp.panel import measures, roles
from alignapp.processes import services
from alignapp.processes.supervisor import running
from tests.environment import ROOT
from tests.ports import free_port
from tests.web.rows import answered_turn, conversation_of
from tests.workers.conftest import database_url

PASSWORD = "a long pass phrase"


@pytest.fixture
def site(transactional_db, tmp_path, monkeypatch) -> Iterator[str]:
    """The web alone, without workers and model."""
    monkeypatch.setenv("DATABASE_URL", database_url())
    subprocess.run([sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"], cwd=ROOT, check=True)
    port = free_port()
    with running([services.web("127.0.0.1", port)], tmp_path / "log", lambda _line: None):
        yield f"http://127.0.0.1:{port}"
    streams.connection().flushdb()


@pytest.fixture
def operator(transactional_db) -> tuple[Person, str]:
    person = Person.objects.create_user("op@example.org", PASSWORD)
    secret = generate_totp_secret()
    TOTP.activate(person, secret)
    roles.grant(person, "operator", "for the test")
    return person, secret


def code(secret: str, *, later: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + later))


def serious(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in ("serious", "critical")]


def looked_at(page, name: str) -> list[str]:
    """Return what axe finds serious; keep pictures, wide, on a phone and dark, where LOOK names a folder."""
    if folder := os.environ.get("LOOK"):
        for size, width, scheme in (("wide", 1280, "light"), ("phone", 360, "light"), ("dark", 1280, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(folder) / f"{name}-{size}.png", full_page=True)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
    return serious(page)


def test_an_operator_finds_a_job_and_looks_at_words_for_a_reason(page, operator):
    owner = Person.objects.create_user("owner@example.org", PASSWORD)
    answered_turn(conversation_of(owner), "an answer", text="my words")
    job = Job.objects.create(person=owner, method="dpo", state="dead", reason="ValueError: my words")
    measures.measure()
    _person, secret = operator
    page.goto("/operate/")
    page.get_by_label("Email").fill("op@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(code(secret))
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()
    page.goto("/operate/")
    assert page.get_by_text("Tokens a second").first.is_visible()
    assert looked_at(page, "overview") == []

    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_label("Id, or its beginning").fill(str(job.id)[:8])
    page.get_by_role("button", name="Filter").click()
    assert looked_at(page, "jobs") == []
    page.get_by_role("link", name=str(job.id)[:8]).click()
    assert page.get_by_text("ValueError", exact=True).is_visible()
    assert page.get_by_text("my words").count() == 0
    assert looked_at(page, "job") == []

    page.get_by_role("link", name=owner.pseudonym).click()
    page.get_by_role("link", name="Enter your password first").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Go on").click()
    assert looked_at(page, "person") == []
    page.get_by_label("What", exact=True).select_option("conversations")
    page.get_by_label("Why?").fill("They asked what went wrong")
    page.get_by_role("button", name="Reveal").click()
    assert page.get_by_text("my words").is_visible()
    page.goto("/operate/audit/")
    assert page.get_by_text("They asked what went wrong").is_visible()
    assert looked_at(page, "audit") == []
    assert page.problems == []
