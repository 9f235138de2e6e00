"""The most memory that this process held since it was last asked to forget: a job's cost.

Knows nothing of jobs. On a GPU it is torch's own count of the device's memory, elsewhere the process's.
"""

from __future__ import annotations

import contextlib
import re
import resource
import sys
from pathlib import Path

import torch

_PROCESS = Path("/proc/self")


def reset_peak(device: torch.device) -> None:
    """Begin to count anew. Where the system cannot, the count goes on from the process's start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            (_PROCESS / "clear_refs").write_text("5")  # proc(5): resets the resident set's high-water mark


def peak_bytes(device: torch.device) -> int:
    """Return the high-water mark in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        if found := re.search(r"^VmHWM:\s+(\d+) kB", (_PROCESS / "status").read_text(), re.MULTILINE):
            return 1024 * int(found[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
