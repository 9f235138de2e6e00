"""The people and the broker of the web tests, and rows of everything for the owner."""

import pytest

from tests.web.conftest import broker, client_of, other, owner, quick_passwords
from tests.web.everything import Everything, everything_of

__all__ = ["broker", "client_of", "other", "owner", "quick_passwords"]


@pytest.fixture
def rows(owner, settings, tmp_path) -> Everything:
    """One row of every model of the owner's."""
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"
    return everything_of(owner)
