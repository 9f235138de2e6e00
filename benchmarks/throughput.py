"""How many tokens a second the local engine writes, by the number of answers in its batch.

    python -m benchmarks.throughput [--rows 1 8 32 64 128] [--threads 0] [--json FILE]

Prompts are the demonstration's, four sampled answers each, 96 tokens at most. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Sampling
from personalization.models.base import BaseModel, load
from personalization.records import Message
from personalization.simulation.prompts import draw_prompts

ANSWERS_TO_EACH = 4
NEW_TOKENS = 96


def requests(count: int) -> list[GenerationRequest]:
    """Return this many requests: every prompt four times, with seeds of their own."""
    prompts, _ = draw_prompts(0, rated=count // ANSWERS_TO_EACH + 1, fresh=0)
    return [
        GenerationRequest(
            str(i),
            (Message("user", prompts[i // ANSWERS_TO_EACH]),),
            Sampling(temperature=1.0, top_p=0.95, max_new_tokens=NEW_TOKENS, seed=i),
            (),
        )
        for i in range(count)
    ]


def measure(base: BaseModel, rows: int) -> dict[str, float]:
    """Return tokens a second over twice as many requests as fit at once, and the mean wait for the first."""
    engine = LocalEngine(base, max_rows=rows)
    try:
        begun = time.monotonic()
        streams = [engine.submit(request) for request in requests(max(8, min(2 * rows, 160)))]
        ends = []
        for stream in streams:
            while not isinstance(event := stream.next(timeout_seconds=60), Finished):
                pass
            ends.append(event)
        seconds = time.monotonic() - begun
    finally:
        engine.close()
    tokens = sum(end.token_count for end in ends)
    first = sum(end.seconds_to_first_token for end in ends[:rows]) / len(ends[:rows])
    return {
        "rows": rows,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "first_token_seconds": first,
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32, 64, 128])
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    base = load(options.model, options.models, threads=options.threads)
    found = []
    for rows in options.rows:
        found.append(measure(base, rows))
        speed, wait = found[-1]["tokens_per_second"], found[-1]["first_token_seconds"]
        print(f"{rows:4d} rows  {speed:6.1f} tokens/s  first token after {wait:5.2f} s")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
