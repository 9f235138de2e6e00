"""A port for a test's own server."""

import socket


def free_port() -> int:
    """Return a port of the loopback that the kernel gives to nobody else just now.

    Test runs that go on beside each other must not look for the first free one: both would find the same.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
