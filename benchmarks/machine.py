"""What a measurement runs on: for its page, and a port for a server that it starts."""

from __future__ import annotations

import os
import platform
import socket
import subprocess


def machine() -> str:
    """Return processor, threads and how they wait (it halves or doubles the speed), and torch's version.

    Imports torch, which a benchmark of the web asks for when it has measured.
    """
    import torch

    waits = [
        f"{name}={os.environ[name]}" for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name in os.environ
    ]
    threads = " ".join([f"{torch.get_num_threads()} threads", *waits])
    return f"{platform.machine()}, {threads}, torch {torch.__version__}"


def commit() -> str:
    """Return the commit of the working tree, empty outside of a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def free_port() -> int:
    """Return a port of the loopback that the kernel gives to nobody else just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
