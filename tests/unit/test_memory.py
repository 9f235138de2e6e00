"""The high-water mark sees what was held and let go since the count began, and not what was before."""

from __future__ import annotations

import numpy as np
import torch

from personalization.models.memory import peak_bytes, reset_peak

CPU = torch.device("cpu")


def hold(megabytes: int) -> None:
    np.ones(megabytes * 2**17).sum()  # written to, so that it is resident


def test_the_peak_is_of_what_was_held_since_it_was_reset():
    hold(300)
    reset_peak(CPU)
    before = peak_bytes(CPU)
    hold(200)
    assert 190 * 2**20 < peak_bytes(CPU) - before < 260 * 2**20
