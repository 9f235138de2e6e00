"""What every test has. Real things only: the database, the broker and the model that the test names."""

import os

import pytest
from django.conf import settings as django_settings

from tests import environment


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Pages name static files without a manifest, which only collectstatic makes."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


def pytest_report_header() -> str:
    """Say what runs against what."""
    engine = django_settings.DATABASES["default"]["ENGINE"].rsplit(".", 1)[-1]
    return f"alignapp: database {engine}, broker {environment.BROKER}, CI {os.environ.get('CI', 'no')}"


def pytest_terminal_summary(terminalreporter) -> None:
    """Say it again at the end, where it is read."""
    terminalreporter.write_line(pytest_report_header())
