"""The application's processes as two worker hosts and one web host would run them, on one machine."""

from __future__ import annotations

from dataclasses import replace

from alignapp.processes import services
from alignapp.processes.services import Service
from benchmarks.load.place import HOSTS, Place

SHARED = ("housekeeping", "beat")  # there is one of each, whatever the number of hosts


def every_service(place: Place, port: int) -> list[Service]:
    """Return the web, a generation and a training worker for each host, housekeeping and the clock."""
    known = services.workers()
    shared = [service for service in known if service.name in SHARED]
    own = [_on(host, service, place) for host in HOSTS for service in known if service.name not in SHARED]
    return [services.web("127.0.0.1", port), *own, *shared]


def _on(host: str, service: Service, place: Place) -> Service:
    variables = (f"{name}={value}" for name, value in place.of_host(host).items())
    name = f"{service.name}-{host}"
    command = ("env", *variables, *service.command, "--hostname", f"{service.name}@{host}")
    return replace(service, name=name, command=command)
