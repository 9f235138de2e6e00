"""Three people and a real broker: the owner, another member, an outsider without an account."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from alignapp.accounts.models import Person
from alignapp.chat import streams


@pytest.fixture(autouse=True)
def quick_passwords(settings) -> None:
    """Make passwords quickly; done well, which Django's own tests see to, that is half of a web test."""
    quick = "django.contrib.auth.hashers.MD5PasswordHasher"
    settings.PASSWORD_HASHERS = [quick, *settings.PASSWORD_HASHERS]


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path) -> None:
    """Keep what a test seals and learns in folders of its own."""
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"


@pytest.fixture(autouse=True)
def broker() -> Iterator[str]:
    """Leave nothing behind in the broker."""
    yield
    streams.connection().flushdb()


@pytest.fixture
def owner(db) -> Person:
    """The person whose rows the test is about."""
    return Person.objects.create_user("owner@example.org", "a long pass phrase")


@pytest.fixture
def other(db) -> Person:
    """Another member, who must never see the owner's rows."""
    return Person.objects.create_user("other@example.org", "a long pass phrase")


@pytest.fixture
def client_of() -> Callable[[Person | None], Client]:
    """Return a signed-in client for a person; for None an outsider's."""

    def make(person: Person | None) -> Client:
        client = Client()
        if person is not None:
            client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make
