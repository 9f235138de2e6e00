"""Fifty people on pages and API, with PostgreSQL and Redis, while two worker hosts write and train.

    python -m benchmarks.load [--json FILE] [--page FOLDER] [--quick] [--people 50] [--seconds 180]

One person of fifty is a program that asks as fast as it is allowed to; it begins when the others have been
alone for a third of the time. Ten are programs that ask now and then; the others look at pages, ask, read
answers as they are written, and rate. Loopback only. The database, at the server that DATABASE_URL names, and
the number of the broker that REDIS_URL names are made for the run and removed after it; two sets of workers
with caches of their own stand for two hosts, with one thread of arithmetic each. Needs `make install-bench`.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import django

from benchmarks.kept import missed, options_of, publish
from benchmarks.load.place import own_place
from benchmarks.machine import commit, free_port, machine

IDLE = 0.5  # the load average, for each core, above which the machine is not called idle
ANSWER_TOKENS = 64  # at most, of an answer


def main() -> None:
    """Run the load, print the bars, and write JSON and page."""
    parser = options_of(__doc__, "load")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=180, help="how long the people stay")
    parser.add_argument("--jobs", type=int, default=12, help="people whose adapters are trained meanwhile")
    parser.add_argument("--quick", action="store_true", help="15 s of people, one minute in all")
    # How long running jobs may take to their end, and how long whoever reads an answer stays to its end.
    parser.set_defaults(job_seconds=300, leave_seconds=30)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.jobs, options.job_seconds, options.leave_seconds = 15, 4, 0, 8
    options.heavy_after = options.seconds / 3
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(143))  # leaving in order takes away what was made
    load_before, begun = os.getloadavg()[0], time.monotonic()
    model, models = options.model, options.models.resolve()
    with own_place(
        options.folder.resolve(), model=model, models=models, answer_tokens=ANSWER_TOKENS
    ) as place:
        django.setup()
        from benchmarks.load.run import run

        found = run(place, options, free_port(), _tell)
    found |= {
        "machine": machine(),
        "commit": commit(),
        "load_average_before": load_before,
        "was_idle": load_before <= IDLE * (os.cpu_count() or 1),
        "quick": options.quick,
        "total_seconds": time.monotonic() - begun,
    }
    from benchmarks.load.page import words, write_page

    publish(options, found, words(found), write_page)
    sys.exit(missed(found))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
