"""How long every page of the operators' panel takes on a large database.

    python -m benchmarks.panel [--people 10000] [--adapters 50000] [--feedback 1000000] [--json F] [--quick]

The database is made for the run at the PostgreSQL server that DATABASE_URL names, and dropped after it.
Pages are asked for in this process, through every middleware; the bar is 300 ms for the 95th of a hundred.
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
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

from benchmarks.load.place import BROKER_SERVER, DATABASE_SERVER, own_database, own_number
from benchmarks.machine import commit, machine

if TYPE_CHECKING:
    from django.test import Client

BAR_MS = 300


def main() -> None:
    """Make the crowd, ask for every page, print how long it took, and fail where one misses the bar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--adapters", type=int, default=50_000)
    parser.add_argument("--feedback", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=200_000, help="of the audit record")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--json", type=Path)
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
        os.environ["ALIGN_DEBUG"] = ""
        django.setup()
        found = _measured(options)
    print(_words(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(any(page["p95_ms"] > BAR_MS for page in found["pages"]))


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    from benchmarks.panel import crowd

    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}  # what only collectstatic makes
    call_command("migrate", verbosity=0)
    begun = time.monotonic()
    rows = crowd.make(options.people, options.adapters, options.feedback, options.events)
    made = time.monotonic() - begun
    client = _operator()
    pages = [_timed(client, name, url, options.repeats) for name, url in _addresses()]
    connections.close_all()
    return {
        "machine": machine(),
        "commit": commit(),
        "rows": rows,
        "seconds_to_make": made,
        "repeats": options.repeats,
        "bar_ms": BAR_MS,
        "pages": sorted(pages, key=lambda page: -page["p95_ms"]),
    }


def _operator() -> Client:
    """Return a client of an operator who showed two factors."""
    from alignapp.accounts.models import Person
    from tests.web.operating import signed_in_with

    return signed_in_with("operator", Person.objects.create_user("operator@example.org"))


def _addresses() -> Iterator[tuple[str, str]]:
    """Yield every page of the panel, found in its routes, and lists with filters and further down."""
    from django.urls import reverse

    from alignapp.adapters.models import Artifact, Job
    from alignapp.panel import urls

    artifact = Artifact.objects.order_by("-created_at").first()
    assert artifact is not None
    ids = {"job_id": artifact.job_id, "person_id": artifact.person_id, "artifact_id": artifact.pk}
    forms = {"preview_jobs", "act_on_jobs", "export_audit"}
    for pattern in urls.urlpatterns:
        names = list(pattern.pattern.converters)
        if pattern.name in forms or not set(names) <= set(ids):
            continue
        yield (
            str(pattern.name),
            reverse(f"panel:{pattern.name}", kwargs={name: ids[name] for name in names} or None),
        )
    dead = Job.objects.filter(state="dead").order_by("created_at").first()
    assert dead is not None
    for query in (
        "?state=dead",
        "?state=queued&older=day",
        f"?person={artifact.person.pseudonym}",
        f"?id={str(artifact.job_id)[:8]}",
        f"?before={dead.created_at.isoformat().replace('+', '%2B')}~{dead.pk}",
    ):
        yield f"jobs {query[:16]}", reverse("panel:jobs") + query
    for span in ("day", "month"):
        yield f"overview {span}", f"{reverse('panel:overview')}?over={span}"
    yield "people p-0", f"{reverse('panel:people')}?person=p-0000001"
    yield "audit verb", f"{reverse('panel:audit')}?verb=something&subject={artifact.person.pseudonym}"
    yield "metrics", reverse("metrics")


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


def _words(found: dict[str, Any]) -> str:
    rows = ", ".join(f"{count:,} {name}" for name, count in found["rows"].items())
    lines = [f"{rows}; made in {found['seconds_to_make']:.0f} s"]
    for page in found["pages"]:
        if page["status"] == 200:
            lines.append(
                f"{page['page']:28} {page['queries']:3} queries  median {page['median_ms']:6.0f} ms  "
                f"p95 {page['p95_ms']:6.0f} ms{'  MISSES THE BAR' if page['p95_ms'] > BAR_MS else ''}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
