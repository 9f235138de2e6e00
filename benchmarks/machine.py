"""What a measurement ran on, to stand beside its numbers."""

from __future__ import annotations

import platform
import subprocess

import torch


def machine() -> str:
    """Return processor, threads and torch's version."""
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def commit() -> str:
    """Return the commit of the working tree, empty outside of a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
