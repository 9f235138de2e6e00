"""What every campaign needs: the rows of methods, as a worker writes them."""

from __future__ import annotations

import pytest

from tests.web import learned


@pytest.fixture(autouse=True)
def surroundings(db) -> None:
    learned.methods()
