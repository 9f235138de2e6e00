"""Twenty annotators at once over HTTP, with PostgreSQL: how long they wait, and what is kept.

    python -m benchmarks.annotation [--json FILE] [--page FOLDER] [--quick] [--people 20] [--items 450]

One web process as `manage.py up` starts it; the annotators are scripts in a process of their own. First they
think before each answer, then they answer as fast as they are served until every item has all of its people.
The database, at the server that DATABASE_URL names, and the number of the broker that REDIS_URL names are
made for the run and removed after it. At the end a hand presses keys in a real browser.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django

from benchmarks.kept import missed, publish
from benchmarks.load.place import BROKER_SERVER, DATABASE_SERVER, own_database, own_number
from benchmarks.machine import commit, free_port, machine

LEAVE_SECONDS = 60  # that the annotators' process may take beyond its own end


def main() -> None:
    """Run it, print the bars, write JSON and page, and fail where a bar is missed."""
    options = _options()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: sys.exit(143))  # leaving in order takes away what was made
    load_before, begun = os.getloadavg()[0], time.monotonic()
    server = os.environ.get("DATABASE_URL", DATABASE_SERVER)
    broker = os.environ.get("REDIS_URL", BROKER_SERVER)
    with (
        tempfile.TemporaryDirectory() as name,
        own_database(server) as database,
        own_number(broker) as number,
    ):
        _say_where(Path(name), database, number)
        django.setup()
        found = _measured(Path(name), options)
    found |= {
        "machine": machine(),
        "commit": commit(),
        "load_average_before": load_before,
        "quick": options.quick,
        "total_seconds": time.monotonic() - begun,
    }
    from benchmarks.annotation.page import words, write_page

    publish(options, found, words(found), write_page)
    sys.exit(missed(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--items", type=int, default=450, help="each for three people")
    parser.add_argument("--paced", type=float, default=60.0, help="seconds of thinking before answers")
    parser.add_argument("--most", type=float, default=200.0, help="seconds after which nobody goes on")
    parser.add_argument("--presses", type=int, default=15, help="items that the hand in the browser answers")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="write the page, its plot and its numbers into this folder")
    parser.add_argument("--quick", action="store_true", help="60 items, half a minute in all")
    options = parser.parse_args()
    if options.quick:
        options.items, options.paced, options.most, options.presses = 60, 10.0, 40.0, 3
    return options


def _say_where(folder: Path, database: str, broker: str) -> None:
    """Set the environment that Django and the web process read."""
    for name in [name for name in os.environ if name.startswith("ALIGN_")]:
        del os.environ[name]
    os.environ |= {
        "DATABASE_URL": database,
        "REDIS_URL": broker,
        "ALIGN_VAR": str(folder),
        "ALIGN_SECRET_KEY": secrets.token_urlsafe(50),
        "ALIGN_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "alignapp.settings",
    }


def _measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from django.core.management import call_command
    from django.db import connections

    from alignapp.processes import services
    from alignapp.processes.supervisor import running
    from benchmarks.annotation import checks, crowd, hand, results

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    cards = crowd.make(options.people, options.items)
    said: list[str] = []
    connections.close_all()
    port = free_port()
    with running([services.web("127.0.0.1", port)], folder / "log", said.append):
        rows = _work(folder, cards, port, options)
        checked = checks.verify(rows)
        homes = crowd.for_a_hand(options.presses)
        pressed = hand.measure(f"http://127.0.0.1:{port}", homes, options.presses)
    errors = [row["detail"] for row in rows if row["what"] == "error"] + said
    figures = results.figures(rows)
    return {
        "bars": results.bars(figures, checked, len(errors)),
        "figures": figures,
        "checked": checked,
        "errors": errors[:20],
        "hand": pressed,
        "people": options.people,
        "paced_seconds": options.paced,
    }


def _work(
    folder: Path, cards: dict[str, Any], port: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Let the annotators work, and return what they measured."""
    cards_file, rows_file = folder / "cards.json", folder / "rows.jsonl"
    cards_file.touch(mode=0o600)  # sessions lie in it
    cards_file.write_text(json.dumps(cards))
    command = (
        *(sys.executable, "-m", "benchmarks.annotation.annotators", "--port", str(port)),
        *("--cards", str(cards_file), "--rows", str(rows_file)),
        *("--paced", str(options.paced), "--most", str(options.most)),
    )
    subprocess.run(command, check=True, timeout=options.most + LEAVE_SECONDS)
    return [json.loads(line) for line in rows_file.read_text().splitlines()]


if __name__ == "__main__":
    main()
