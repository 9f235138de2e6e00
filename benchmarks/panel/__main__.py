"""How long every page of the operators' panel, and every address of their API, takes on a large database.

    python -m benchmarks.panel [--people 10000] [--adapters 50000] [--feedback 1000000]
                               [--json F] [--page docs/benchmarks] [--quick]

The database is made for the run at the PostgreSQL server that DATABASE_URL names, and dropped after it.
Pages are asked for in this process, which starts as a web process does and has as little in it, through every
middleware; the bars are 300 ms for the 95th percentile and 60 queries.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

from benchmarks.load.place import BROKER_SERVER, DATABASE_SERVER, own_database, own_number
from benchmarks.machine import commit, machine
from benchmarks.panel import page
from benchmarks.panel.page import BAR_MS, BAR_QUERIES

if TYPE_CHECKING:
    from django.test import Client


def main() -> None:
    """Make the crowd, ask for every page, print how long it took, and fail where one misses the bar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--adapters", type=int, default=50_000)
    parser.add_argument("--feedback", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=200_000, help="of the audit record")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="folder of the page and its figures")
    parser.add_argument("--quick", action="store_true", help="a hundredth of it, in seconds")
    options = parser.parse_args()
    if options.quick:
        options.people, options.adapters, options.feedback = 100, 500, 10_000
        options.events, options.repeats = 2_000, 10
    database, broker = (
        os.environ.get("DATABASE_URL", DATABASE_SERVER),
        os.environ.get("REDIS_URL", BROKER_SERVER),
    )
    with tempfile.TemporaryDirectory() as folder, own_database(database) as own, own_number(broker) as number:
        os.environ |= {
            "DATABASE_URL": own,
            "REDIS_URL": number,
            "ALIGN_VAR": folder,
            "ALIGN_LOG_LEVEL": "ERROR",
        }
        os.environ |= {
            "ALIGN_SECRET_KEY": secrets.token_urlsafe(50),
            "DJANGO_SETTINGS_MODULE": "alignapp.settings",
        }
        os.environ["ALIGN_ALLOWED_HOSTS"] = "testserver"
        os.environ["ALIGN_OPERATOR_REQUESTS_PER_MINUTE"] = "1000000"
        os.environ["ALIGN_DEBUG"] = ""
        django.setup()
        found = _measured(options)
    print(page.words(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.page:
        (options.page / "panel.json").write_text(json.dumps(found, indent=1) + "\n")
        (options.page / "panel.md").write_text(page.markdown(found))
    sys.exit(any(page.misses(row) for row in found["pages"]))


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    import alignapp.asgi  # noqa: F401 - what a web process does before its first request
    from benchmarks.panel import crowd
    from benchmarks.panel.addresses import addresses

    if "torch" in sys.modules:  # its objects alone would make every garbage collection three times as long
        raise RuntimeError("Something here imports torch, which the web does not.")

    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}  # what only collectstatic makes
    call_command("migrate", verbosity=0)
    begun = time.monotonic()
    rows = crowd.make(options.people, options.adapters, options.feedback, options.events)
    made = time.monotonic() - begun
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
    load = os.getloadavg()[0]  # while it was made one process computed, and the database
    begun = time.monotonic()
    pages = [_timed(client, name, url, options.repeats) for client, name, url in addresses()]
    took = time.monotonic() - begun
    connections.close_all()
    return {
        "machine": machine(),
        "commit": commit(),
        "rows": rows,
        "database_bytes": size,
        "seconds_to_make": made,
        "seconds_to_measure": took,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "repeats": options.repeats,
        "bar_ms": BAR_MS,
        "bar_queries": BAR_QUERIES,
        "pages": sorted(pages, key=lambda row: -row["p95_ms"]),
    }


def _timed(client: Client, name: str, url: str, repeats: int) -> dict[str, Any]:
    from django.db import connection

    queries = 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*arguments)

    with connection.execute_wrapper(count):
        status = client.get(url).status_code
    milliseconds = []
    for _ in range(repeats if status == 200 else 0):
        begun = time.perf_counter()
        client.get(url)
        milliseconds.append(1000 * (time.perf_counter() - begun))
    times = sorted(milliseconds) or [0.0]
    return {
        "page": name,
        "status": status,
        "queries": queries,
        "median_ms": statistics.median(times),
        "p95_ms": times[min(int(0.95 * len(times)), len(times) - 1)],
        "most_ms": times[-1],
    }


if __name__ == "__main__":
    main()
