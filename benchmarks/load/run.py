"""One run: rows, processes, people, and what came of it. Django is set up before this is imported."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command

from alignapp.processes.supervisor import running
from benchmarks.load import checks, crowd, hosts, results
from benchmarks.load.place import Place
from benchmarks.load.watch import Watch

USERS = Path(__file__).with_name("users.py")
SPAWN_RATE = 10  # people a second that come


def run(place: Place, options: argparse.Namespace, port: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Run the load once and return everything that was measured, JSON-ready."""
    tell("making the database and the people")
    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    cards = crowd.make(crowd.draw_pool(), options.people)
    crowd.write_cards(cards, place.folder / "cards.json")
    tell("starting the processes")
    with running(hosts.every_service(place, port), place.logs, lambda _line: None):
        crowd.start_training(options.jobs)
        tell(f"{options.people} people for {options.seconds} s")
        begun = time.time()
        with Watch() as watch:
            _play(place, options, port)
        checks.wait_for_replies(options.leave_seconds)
        tell("waiting for the jobs that train")
        checks.wait_for_jobs(options.job_seconds)
        tell("counting")
        rows = [json.loads(line) for line in (place.folder / "rows.jsonl").read_text().splitlines()]
        checked = checks.verify(place.logs, rows, begun)
        heavy = next(card["person"] for card in cards if card["role"] == crowd.HEAVY)
        waits = checks.waits(heavy, begun + options.heavy_after)
    return _summary(rows, watch.samples, checked, waits, begun, options)


def _summary(
    rows: results.Rows,
    samples: results.Rows,
    checked: dict[str, Any],
    waits: dict[str, list[float]],
    begun: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    found = results.figures(rows, heavy_at=begun + options.heavy_after)
    found["waits"] = {whose: results.spread(seconds) for whose, seconds in waits.items()}
    queued = results.queue(samples) | {
        "bound": settings.MAX_WAITING_REPLIES,
        "bound_of_one": settings.REPLIES_PER_MINUTE,
    }
    bars = results.bars(found, checked, queued)
    return {
        "bars": results.as_json(bars),
        "figures": found,
        "checked": checked,
        "queue": queued,
        "samples": [{**sample, "at": sample["at"] - begun} for sample in samples],
        "first": [[row["at"] - begun, row["seconds"], row["role"]] for row in rows if row["what"] == "first"],
        "people": options.people,
        "seconds": options.seconds,
        "heavy_after": options.heavy_after,
        "answer_tokens": settings.MAX_NEW_TOKENS,
        "model": settings.ALIGN_MODEL,
    }


def _play(place: Place, options: argparse.Namespace, port: int) -> None:
    """Let locust play the people in a process of its own: it changes how a whole process waits."""
    command = (
        *(sys.executable, "-m", "locust", "--headless", "--only-summary", "--locustfile", str(USERS)),
        *("--host", f"http://127.0.0.1:{port}", "--users", str(options.people)),
        *("--spawn-rate", str(SPAWN_RATE), "--run-time", f"{options.seconds}s"),
        *("--stop-timeout", str(options.leave_seconds), "--heavy-after", str(options.heavy_after)),
        *("--cards", str(place.folder / "cards.json"), "--rows", str(place.folder / "rows.jsonl")),
    )
    environment = {**os.environ, "PYTHONPATH": str(settings.BASE_DIR)}
    with (place.logs / "locust.log").open("w") as log:
        subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
