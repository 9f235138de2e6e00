"""The high-water mark sees what was held and let go since the count began, and not what was before."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: where the system cannot begin to count anew, what this one held would hide it.
PROGRAM = """
import numpy as np
import torch
from personalization.models.memory import peak_bytes, reset_peak

def hold(megabytes):
    np.ones(megabytes * 2**17).sum()  # written to, so that it is resident

reset_peak(torch.device("cpu"))
before = peak_bytes(torch.device("cpu"))
hold(200)
print(peak_bytes(torch.device("cpu")) - before)
"""


def test_the_peak_is_of_what_was_held_since_it_was_reset():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert 150 * 2**20 < int(done.stdout) < 260 * 2**20
