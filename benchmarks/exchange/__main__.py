"""How long a large file takes in and out, and that its size does not matter to the memory.

A generated file of judged pairs (TRL's format, with people) is read, imported into a new database and
exported again, each in a process of its own, at a tenth of the rows and at all of them.

    python -m benchmarks.exchange --json FILE                        1,000,000 rows, SQLite
    python -m benchmarks.exchange --postgres postgres://…/postgres   and PostgreSQL, in a database of its own
    python -m benchmarks.exchange --quick                            5,000 rows

A database and a size that are in --folder already are not measured again; the page has all that is there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.exchange.page import verdict, write_page
from benchmarks.kept import Kept
from benchmarks.load.place import own_database
from benchmarks.machine import commit, machine

WORDS = ("water", "stone", "the", "of", "river", "why", "because", "is", "and", "long", "green", "people")
PEOPLE = 50


def main() -> None:
    """Measure, print a line for each act, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="5,000 rows")
    parser.add_argument("--postgres", help="a server's URL; a database is made there, and dropped")
    parser.add_argument("--no-sqlite", action="store_true", help="only PostgreSQL")
    parser.add_argument("--folder", type=Path, default=Path("var/benchmarks/exchange"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="write the page, its plot and its numbers into this folder")
    asked = parser.parse_args()
    rows, begun = 5_000 if asked.quick else asked.rows, time.monotonic()
    kept = Kept(asked.folder / "rows.jsonl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [write(folder / f"pairs-{count}.jsonl", count) for count in (rows // 10, rows)]
        if not asked.no_sqlite and not is_kept(kept, "SQLite", rows):
            measure("SQLite", f"sqlite:///{folder / 'exchange.sqlite3'}", files, folder, kept)
        if asked.postgres and not is_kept(kept, "PostgreSQL", rows):
            with own_database(asked.postgres) as url:
                measure("PostgreSQL", url, files, folder, kept)
    latest = {(row["database"], row["act"], row["rows"]): row for row in kept.rows}  # of two the newer one
    found = {
        "machine": machine(),
        "commit": commit(),
        "measured": list(latest.values()),
        "total_seconds": time.monotonic() - begun,
    }
    print(verdict(found))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    if asked.page:
        write_page(asked.page, found)


def write(path: Path, count: int) -> Path:
    """Write a file of so many different pairs, about 500 bytes each."""
    draw = random.Random(0)  # noqa: S311 - invented words
    with path.open("w") as out:
        for number in range(count):
            texts = [" ".join(draw.choices(WORDS, k=length)) for length in (12, 40, 40)]
            row = dict(zip(("prompt", "chosen", "rejected"), texts, strict=True))
            person = f"annotator-{draw.randrange(PEOPLE)}"
            out.write(json.dumps({"id": f"row-{number}", "person": person, **row}) + "\n")
    return path


def is_kept(kept: Kept, name: str, rows: int) -> bool:
    """Say whether a database was measured to the end with so many rows."""
    return any((row["database"], row["act"], row["rows"]) == (name, "export", rows) for row in kept.rows)


def measure(name: str, url: str, files: list[Path], folder: Path, kept: Kept) -> None:
    """Measure each act, from an empty database on, and keep it."""
    environment = os.environ | {"DATABASE_URL": url, "ALIGN_VAR": str(folder), "DJANGO_LOG_LEVEL": "WARNING"}
    run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], environment)
    for path in files:
        for act in ("read", "import", "export"):
            told = run([sys.executable, "-m", "benchmarks.exchange.child", act, str(path)], environment)
            row = {"database": name, "act": act, "rows": int(path.stem.split("-")[1]), **json.loads(told)}
            row["load_average"] = os.getloadavg()[0]
            memory = f"peak {row['peak_mib']:.0f} MiB (idle {row['idle_mib']:.0f})"
            print(
                f"{name:<11} {act:<7} {row['rows']:>9,} rows  {row['seconds']:7.1f} s  {memory}", flush=True
            )
            kept.add(row)


def run(command: list[str], environment: dict[str, str]) -> str:
    """Run a process and return what it printed."""
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
