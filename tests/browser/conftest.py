"""The whole application in processes of its own, and Chromium in front of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alignapp.chat import streams
from alignapp.processes import services
from alignapp.processes.checks import is_model_prepared
from alignapp.processes.supervisor import running
from tests.environment import ROOT
from tests.ports import free_port
from tests.workers.conftest import database_url

# Playwright's synchronous interface runs an event loop under this thread; the ORM is used beside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items) -> None:
    """Mark everything here, and skip it with the reason where there is no browser or no model."""
    missing = "there is no Chromium (apt-get install chromium)" if not CHROMIUM else ""
    if not is_model_prepared():
        missing = "the model is not prepared (python -m tests.prepare)"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing and os.environ.get("CI") != "true":
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture
def site(transactional_db, tmp_path, monkeypatch) -> Iterator[str]:
    """The address of a running alignapp on the real model, with answers of at most 24 tokens."""
    for name, value in {
        "DATABASE_URL": database_url(),
        "ALIGN_MAX_NEW_TOKENS": "24",
        "ALIGN_MIN_TRAINING_PAIRS": "6",
        "ALIGN_THREADS": "2",
    }.items():
        monkeypatch.setenv(name, value)
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(collect, cwd=ROOT, check=True)
    port, said = free_port(), []
    wanted = [services.web("127.0.0.1", port), *services.workers()]
    with running(wanted, tmp_path / "log", said.append):
        yield f"http://127.0.0.1:{port}"
    streams.connection().flushdb()
    assert not [line for line in said if "Traceback" in line or " ERROR " in line], said


@pytest.fixture(scope="module")
def browser():
    """Chromium; ended with its module, because Playwright's event loop stops asynchronous tests after it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, site):
    """A page at desktop width; every console error and failed request of the test is collected."""
    context = browser.new_context(base_url=site, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    context.close()
