"""The application in processes of its own, started once for all tests, and Chromium in front of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command

from alignapp.chat import streams
from alignapp.processes import services
from alignapp.processes.checks import is_model_prepared
from alignapp.processes.supervisor import Child, running
from tests.browser.looking import WIDE
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


def as_tested(service: services.Service) -> services.Service:
    """Return a service on the test database, with answers of at most 24 tokens and few comparisons needed."""
    changed = {
        "DATABASE_URL": database_url(),
        "ALIGN_MAX_NEW_TOKENS": "24",
        "ALIGN_MIN_TRAINING_PAIRS": "6",
        "ALIGN_THREADS": "1",  # the other core has the rest of the suite
    }
    return replace(service, environment={**service.environment, **changed})


@contextmanager
def faultless(said: list[str]) -> Iterator[None]:
    """Fail when a process wrote of an error meanwhile."""
    said.clear()
    yield
    assert not [line for line in said if "Traceback" in line or " ERROR " in line], said


@pytest.fixture(scope="session")
def web(django_db_setup, tmp_path_factory) -> Iterator[tuple[str, Child, list[str]]]:
    """The pages: their address, their process, and what it said. One for all tests; only rows change."""
    call_command("collectstatic", verbosity=0, interactive=False)
    port, said = free_port(), []
    pages = as_tested(services.web("127.0.0.1", port))
    with running([pages], tmp_path_factory.mktemp("log"), said.append) as stack:
        yield f"http://127.0.0.1:{port}", stack.children[0], said


@pytest.fixture
def site(web, transactional_db) -> Iterator[str]:
    """The address of the pages, without a worker."""
    address, _process, said = web
    with faultless(said):
        yield address
    streams.connection().flushdb()


@pytest.fixture
def workers(site, tmp_path) -> Iterator[None]:
    """Workers on the real model, beside the pages."""
    said: list[str] = []
    with faultless(said), running(map(as_tested, services.workers()), tmp_path / "log", said.append):
        yield


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
    # Without motion a colour is the new scheme's at once, and not on its way there.
    context = browser.new_context(base_url=site, viewport=WIDE, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    context.close()
