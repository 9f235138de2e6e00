"""What the library's tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute on one core, so that sums are added up in one order, and other tests have the other core."""
    torch.set_num_threads(1)
